/** All that talks to boards: `import { DeviceSession, openTransport } from "edgeplug/device"`. */
export { WALL_CLOCK, type Clock } from "./clock.js";
export { cobsDecode, cobsEncode } from "./cobs.js";
export { encodeFrame, FrameDecoder, Unwrapper, wrapFrame } from "./frames.js";
export { foreseePush, targetText, type Check, type ForeseeOptions, type Foresight } from "./foresee.js";
export * from "./observer.js";
export * from "./session/board-session.js";
export * from "./session/commands.js";
export { Connection, type LineCounters, type RequestOptions } from "./session/connection.js";
export { executeSigned, type CommandTarget, type SignedCommand } from "./session/execute.js";
export * from "./session/describe.js";
export * from "./session/messages.js";
export type { Deliverable, PushOptions, PushResult, PushStep } from "./session/push.js";
export type { SavedPackage } from "./session/save.js";
export { DeviceSession, type ConnectOptions, type RollbackOptions } from "./session/session.js";
export type { GatewayOptions } from "./gateway/client/options.js";
export { openDevice, openPort, type OpenDeviceOptions } from "./open-device.js";
export { openTransport } from "./transports/open.js";
export type { OpenOptions, Transport } from "./transports/transport.js";
