/** Finds boards, and chooses among them by identity. */
export { findCandidates, type Candidate, type CandidateOptions } from "./candidates.js";
export {
  probe,
  survey,
  type ProbedBoard,
  type ProbeOptions,
  type Sighting,
  type SurveyOptions,
} from "./probe.js";
export { resolveDevice } from "./resolve.js";
export { isSelector } from "./selector.js";
export { usbIds, USB_IDS_VARIABLE, type KnownUsbId } from "./usb-ids.js";
export { watchBoards, type BoardChange, type WatchOptions } from "./watch.js";
