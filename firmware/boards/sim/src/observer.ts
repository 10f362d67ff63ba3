import { crc32 } from "node:zlib";

import type { Observation } from "./board.js";

const OUTPUTS = 4;

/**
 * The frame that the qemu board sends for each scan on its second UART (firmware/boards/observer.h), so that
 * one observer watches both: COBS of u32 scan, u32 microseconds since boot, u32 swap number, 4 × f32 output and
 * CRC-32, all little endian, then 0x00.
 */
export function observerFrame({ scan, sinceBootMicros, swapNumber, outputs }: Observation): Uint8Array {
  const size = 12 + 4 * OUTPUTS;
  const record = new DataView(new ArrayBuffer(size + 4));
  record.setUint32(0, scan >>> 0, true);
  record.setUint32(4, sinceBootMicros >>> 0, true);
  record.setUint32(8, swapNumber, true);
  for (let i = 0; i < OUTPUTS; i++) record.setFloat32(12 + 4 * i, outputs[i] ?? 0, true);
  const bytes = new Uint8Array(record.buffer);
  record.setUint32(size, crc32(bytes.subarray(0, size)), true);
  return cobs(bytes);
}

/** Consistent overhead byte stuffing of fewer than 254 bytes, with the delimiter. */
function cobs(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 2);
  let code = 0;
  bytes.forEach((byte, i) => {
    out[i + 1] = byte;
    if (byte !== 0) return;
    out[code] = i + 1 - code;
    code = i + 1;
  });
  out[code] = bytes.length + 1 - code;
  return out;
}
