/**
 * Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): bytes without 0x00, so that 0x00 can end
 * a frame. The twin of firmware/runtime/link/cobs.c.
 */

/** Encodes `data`; the delimiter is not added. */
export function cobsEncode(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + Math.floor(data.length / 254) + 1);
  let code = 1;
  let codeAt = 0;
  let at = 1;
  for (let i = 0; i < data.length; i++) {
    const byte = data[i] as number;
    if (byte !== 0) {
      out[at++] = byte;
      code++;
    }
    // A full group of 254 bytes ends without an implied zero; the last one needs no successor.
    if (byte === 0 || (code === 0xff && i + 1 < data.length)) {
      out[codeAt] = code;
      code = 1;
      codeAt = at++;
    }
  }
  out[codeAt] = code;
  return out.subarray(0, at);
}

/** Decodes bytes that hold no delimiter; undefined if they are no COBS encoding. */
export function cobsDecode(data: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(data.length);
  let at = 0;
  let from = 0;
  while (from < data.length) {
    const code = data[from] as number;
    const end = from + code;
    if (code === 0 || end > data.length) return undefined;
    const group = data.subarray(from + 1, end);
    if (group.includes(0)) return undefined;
    out.set(group, at);
    at += group.length;
    from = end;
    if (code !== 0xff && from < data.length) out[at++] = 0;
  }
  return from === 0 ? undefined : out.subarray(0, at);
}
