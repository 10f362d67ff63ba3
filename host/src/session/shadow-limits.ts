/** What a shadow run may be asked for. Nothing else is in here, so that command lines are read without the session. */
export const MOST_SCANS = 0xffff_ffff;
export const MOST_TOLERANCES = 6;
