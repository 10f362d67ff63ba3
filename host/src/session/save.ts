/** Reads the running package back: the slot's payload, and from its record the exact signed manifest. */
import { EdgePlugError } from "../errors.js";
import { crc32 } from "../frames.js";
import {
  RECORD_CRC_OFFSET,
  RECORD_FLAG_SIGNED,
  RECORD_FLAGS_OFFSET,
  RECORD_FORMAT,
  RECORD_FORMAT_OFFSET,
  RECORD_HEADER_SIZE,
  RECORD_KEY_ID_OFFSET,
  RECORD_KEY_ID_SIZE,
  RECORD_MAGIC,
  RECORD_MAGIC_OFFSET,
  RECORD_MANIFEST_LENGTH_OFFSET,
  RECORD_MANIFEST_MAX,
  RECORD_MANIFEST_OFFSET,
  RECORD_PAYLOAD_MAX,
  RECORD_PAYLOAD_SIZE_OFFSET,
  RECORD_SIGNATURE_OFFSET,
  RECORD_SIGNATURE_SIZE,
  RECORD_SWAP_NUMBER_OFFSET,
} from "../generated/record-layout.js";
import { readPackage, serializePackage, verifyPackage, type AgentPackage } from "../package.js";
import type { RequestOptions } from "./connection.js";
import type { DeviceSession } from "./session.js";

export interface SavedPackage {
  /** The .epk file. */
  bytes: Uint8Array;
  package: AgentPackage;
  swapNumber: number;
}

interface Record {
  swapNumber: number;
  payloadSize: number;
  manifestBytes: Uint8Array;
  keyId: Uint8Array;
  signature: Uint8Array;
}

/** The fields of a slot record that a package is made of; throws ECC if the record does not hold. */
export function parseRecord(bytes: Uint8Array): Record {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const manifestLength = view.getUint16(RECORD_MANIFEST_LENGTH_OFFSET, true);
  const payloadSize = view.getUint32(RECORD_PAYLOAD_SIZE_OFFSET, true);
  const intact =
    view.getUint32(RECORD_MAGIC_OFFSET, true) === RECORD_MAGIC &&
    view.getUint16(RECORD_FORMAT_OFFSET, true) === RECORD_FORMAT &&
    view.getUint32(RECORD_CRC_OFFSET, true) === crc32(bytes.subarray(0, RECORD_CRC_OFFSET)) &&
    manifestLength >= 1 &&
    manifestLength <= RECORD_MANIFEST_MAX &&
    payloadSize <= RECORD_PAYLOAD_MAX;
  if (!intact) throw new EdgePlugError("ECC", "The slot's record is damaged.");
  const signed = (view.getUint32(RECORD_FLAGS_OFFSET, true) & RECORD_FLAG_SIGNED) !== 0;
  const part = (offset: number, size: number): Uint8Array => bytes.slice(offset, offset + size);
  return {
    swapNumber: view.getUint32(RECORD_SWAP_NUMBER_OFFSET, true),
    payloadSize,
    manifestBytes: part(RECORD_MANIFEST_OFFSET, manifestLength),
    keyId: signed ? part(RECORD_KEY_ID_OFFSET, RECORD_KEY_ID_SIZE) : new Uint8Array(),
    signature: signed ? part(RECORD_SIGNATURE_OFFSET, RECORD_SIGNATURE_SIZE) : new Uint8Array(),
  };
}

export async function saveRunning(session: DeviceSession, options?: RequestOptions): Promise<SavedPackage> {
  const { activeSlot, active } = await session.status(options);
  if (active === null) throw new EdgePlugError("NO_AGENT");
  const header = await session.readSlot(activeSlot, RECORD_PAYLOAD_MAX, RECORD_HEADER_SIZE, options);
  const record = parseRecord(header);
  const payload = await session.readSlot(activeSlot, 0, record.payloadSize, options);
  const after = await session.status(options);
  if (record.swapNumber !== active.swapNumber || after.active?.swapNumber !== active.swapNumber) {
    throw new EdgePlugError("BUSY", "The board swapped its agent while it was being read.", {
      action: "Save again.",
    });
  }
  const { manifestBytes, keyId, signature } = record;
  const bytes = serializePackage({ manifestBytes, keyId, signature, payload });
  const saved = readPackage(bytes);
  verifyPackage(saved);
  return { bytes, package: saved, swapNumber: record.swapNumber };
}
