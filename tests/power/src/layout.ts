/** Places in slot and record, in bytes: the byte table of record_layout.h, written down once more so that the oracle reads
 * by the page and not by the header that the firmware is built from. */
export const SLOT_SIZE = 14_336;
export const PAYLOAD_MAX = 13_824;
export const RECORD_SIZE = 512;
export const MAGIC = 0x52535045;
export const MANIFEST_LENGTH = 6;
export const SWAP_NUMBER = 8;
export const MANIFEST = 96;
export const MANIFEST_MAX = 304;
export const CRC = 412;
export const HEADER_SIZE = 416;
export const MARKS = 416;
