#include "record.h"

#include <string.h>

#include <pb_decode.h>

#include "core/board.h"
#include "crypto/crc32.h"
#include "crypto/sha512.h"
#include "errors.h"

#define EP_READ_TRIES 3u
#define EP_BLOCK      128u

uint32_t ep_record_u32(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

void ep_record_put_u32(uint8_t *bytes, uint32_t value) {
  memcpy(bytes, &value, sizeof value);
}

uint32_t ep_record_manifest_size(const uint8_t header[EP_RECORD_HEADER_SIZE]) {
  return ep_record_u32(header + EP_RECORD_FORMAT_OFFSET) >> 16;
}

static uint32_t ep_record_address(uint32_t slot) {
  return ep_board_map()->slot_address[slot] + EP_RECORD_PAYLOAD_MAX;
}

uint32_t ep_record_page(void) {
  return EP_RECORD_PAYLOAD_MAX / ep_board_map()->erase_size;
}

static bool ep_record_holds(const uint8_t header[EP_RECORD_HEADER_SIZE]) {
  uint32_t size = ep_record_u32(header + EP_RECORD_PAYLOAD_SIZE_OFFSET);
  uint32_t manifest = ep_record_manifest_size(header);
  return ep_record_u32(header + EP_RECORD_MAGIC_OFFSET) == EP_RECORD_MAGIC &&
         (ep_record_u32(header + EP_RECORD_FORMAT_OFFSET) & 0xFFFFu) == EP_RECORD_FORMAT &&
         manifest - 1u < EP_RECORD_MANIFEST_MAX && size - 1u < EP_RECORD_PAYLOAD_MAX &&
         ep_record_u32(header + EP_RECORD_CRC_OFFSET) == ep_crc32(0, header, EP_RECORD_CRC_OFFSET);
}

/* A single failed reading must not cost an agent: three tries of three readings. */
static void ep_record_read_header(uint32_t slot, uint8_t header[EP_RECORD_HEADER_SIZE], ep_record_t *record) {
  memset(record, 0, sizeof *record);
  record->unreadable = true;
  for (uint32_t tries = 0; tries < EP_READ_TRIES && !record->intact; tries++) {
    if (ep_flash_read(ep_record_address(slot), header, EP_RECORD_HEADER_SIZE) == EP_FLASH_TORN) continue;
    record->unreadable = false;
    record->intact = ep_record_holds(header);
  }
  if (record->intact) record->swap_number = ep_record_u32(header + EP_RECORD_SWAP_NUMBER_OFFSET);
}

void ep_record_read(const ep_journal_t *journal, uint32_t slot, uint8_t header[EP_RECORD_HEADER_SIZE],
                    ep_record_t *record) {
  ep_record_read_header(slot, header, record);
  if (record->intact) ep_marks_read(journal, slot, record->swap_number, &record->marks);
}

void ep_record_settle(ep_journal_t *journal, uint32_t slot, uint8_t header[EP_RECORD_HEADER_SIZE],
                      ep_record_t *record) {
  ep_record_read_header(slot, header, record);
  if (record->intact) ep_marks_settle(journal, slot, record->swap_number, &record->marks);
}

void ep_record_seal(uint8_t header[EP_RECORD_HEADER_SIZE]) {
  ep_record_put_u32(header + EP_RECORD_CRC_OFFSET, ep_crc32(0, header, EP_RECORD_CRC_OFFSET));
}

int ep_record_write(ep_flash_t *flash, uint32_t slot, const uint8_t header[EP_RECORD_HEADER_SIZE]) {
  return ep_flash_program(flash, ep_record_address(slot), header, EP_RECORD_HEADER_SIZE);
}

int ep_record_manifest(const uint8_t header[EP_RECORD_HEADER_SIZE], edgeplug_Manifest *manifest) {
  pb_istream_t stream =
      pb_istream_from_buffer(header + EP_RECORD_MANIFEST_OFFSET, ep_record_manifest_size(header));
  memset(manifest, 0, sizeof *manifest);
  return pb_decode(&stream, edgeplug_Manifest_fields, manifest) ? EP_OK : EP_ERR_MANIFEST;
}

void ep_record_digest(const uint8_t header[EP_RECORD_HEADER_SIZE], uint8_t digest[EP_JOURNAL_DIGEST]) {
  uint8_t whole[EP_SHA512_SIZE];
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, header + EP_RECORD_MANIFEST_OFFSET, ep_record_manifest_size(header));
  ep_sha512_final(&hash, whole);
  memcpy(digest, whole, EP_JOURNAL_DIGEST);
}

static int ep_record_hash_payload(uint32_t slot, const edgeplug_Manifest *manifest) {
  uint32_t address = ep_board_map()->slot_address[slot], crc = 0;
  uint8_t block[EP_BLOCK], digest[EP_SHA512_SIZE];
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  for (uint32_t done = 0; done < manifest->payload_size; done += EP_BLOCK) {
    uint32_t size = manifest->payload_size - done < EP_BLOCK ? manifest->payload_size - done : EP_BLOCK;
    int error = ep_flash_fetch(address + done, block, size);
    if (error != EP_OK) return error;
    crc = ep_crc32(crc, block, size);
    ep_sha512_update(&hash, block, size);
    ep_board_work(EP_WORK_SHA512_BLOCK);
    if ((done / EP_BLOCK & 1u) != 0u) ep_board_work(EP_WORK_CRC_BLOCK);
  }
  ep_sha512_final(&hash, digest);
  if (crc != manifest->payload_crc32) return EP_ERR_PAYLOAD_CRC;
  return memcmp(digest, manifest->payload_sha512, sizeof digest) == 0 ? EP_OK : EP_ERR_PAYLOAD_DIGEST;
}

int ep_record_check_payload(uint32_t slot, const edgeplug_Manifest *manifest) {
  int error = EP_ERR_PAYLOAD_DIGEST;
  if (manifest->payload_size > EP_RECORD_PAYLOAD_MAX) return error;
  for (uint32_t tries = 0; tries < EP_READ_TRIES && error != EP_OK; tries++) {
    error = ep_record_hash_payload(slot, manifest);
  }
  return error;
}
