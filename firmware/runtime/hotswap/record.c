#include "record.h"

#include <stddef.h>
#include <string.h>

#include <pb_decode.h>

#include "core/board.h"
#include "core/limits.h"
#include "crypto/crc32.h"
#include "crypto/sha512.h"
#include "errors.h"

#define EP_READ_TRIES 3u
#define EP_BLOCK      128u

_Static_assert(sizeof(ep_record_header_t) == EP_RECORD_HEADER_SIZE &&
                   offsetof(ep_record_header_t, manifest_length) == EP_RECORD_MANIFEST_LENGTH_OFFSET &&
                   offsetof(ep_record_header_t, swap_number) == EP_RECORD_SWAP_NUMBER_OFFSET &&
                   offsetof(ep_record_header_t, payload_size) == EP_RECORD_PAYLOAD_SIZE_OFFSET &&
                   offsetof(ep_record_header_t, payload_crc) == EP_RECORD_PAYLOAD_CRC_OFFSET &&
                   offsetof(ep_record_header_t, timestamp) == EP_RECORD_TIMESTAMP_OFFSET &&
                   offsetof(ep_record_header_t, key_id) == EP_RECORD_KEY_ID_OFFSET &&
                   offsetof(ep_record_header_t, signature) == EP_RECORD_SIGNATURE_OFFSET &&
                   offsetof(ep_record_header_t, manifest) == EP_RECORD_MANIFEST_OFFSET &&
                   offsetof(ep_record_header_t, flags) == EP_RECORD_FLAGS_OFFSET &&
                   offsetof(ep_record_header_t, crc) == EP_RECORD_CRC_OFFSET,
               "the header in RAM is the one in flash");

static uint32_t ep_record_crc(const ep_record_header_t *header) {
  return ep_crc32(0, header, EP_RECORD_CRC_OFFSET);
}

static bool ep_record_holds(const ep_record_header_t *header) {
  return header->magic == EP_RECORD_MAGIC && header->format == EP_RECORD_FORMAT &&
         header->manifest_length - 1u < EP_RECORD_MANIFEST_MAX &&
         header->payload_size - 1u < EP_RECORD_PAYLOAD_MAX && header->crc == ep_record_crc(header);
}

static edgeplug_SlotState ep_record_state(uint32_t set) {
  if ((set & EP_MARK_BIT(EP_MARK_REJECTED)) != 0u) return edgeplug_SlotState_SLOT_STATE_REJECTED;
  if ((set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u) return edgeplug_SlotState_SLOT_STATE_CONFIRMED;
  if ((set & EP_MARK_TRIALS) != 0u) return edgeplug_SlotState_SLOT_STATE_TRIAL;
  if ((set & EP_MARK_BIT(EP_MARK_STAGED)) != 0u) return edgeplug_SlotState_SLOT_STATE_STAGED;
  return edgeplug_SlotState_SLOT_STATE_PARTIAL;
}

void ep_record_read(const ep_journal_t *journal, uint32_t slot, ep_record_t *record) {
  uint32_t address = ep_board_map()->slot_address[slot] + EP_RECORD_PAYLOAD_MAX;
  record->state = edgeplug_SlotState_SLOT_STATE_UNREADABLE;
  /* A reading that failed must not cost an agent: three tries of three readings. */
  for (uint32_t tries = 0; tries < EP_READ_TRIES; tries++) {
    if (ep_flash_read(address, &record->header, sizeof record->header) == EP_FLASH_TORN) continue;
    record->state = edgeplug_SlotState_SLOT_STATE_EMPTY;
    if (!ep_record_holds(&record->header)) continue;
    ep_marks_read(journal, slot, record->header.swap_number, &record->marks);
    record->state = (uint8_t)ep_record_state(record->marks.set);
    return;
  }
  record->header.swap_number = 0;
  memset(&record->marks, 0, sizeof record->marks);
}

int ep_record_open_page(ep_flash_t *flash, uint32_t slot, uint32_t offset, ep_record_header_t *header) {
  uint32_t address = ep_board_map()->slot_address[slot], pages = ~(ep_board_map()->erase_size - 1u);
  int error = ep_flash_erase(flash, address + (offset & pages));
  if (error != EP_OK || (offset & pages) != (EP_RECORD_PAYLOAD_MAX & pages)) return error;
  header->crc = ep_record_crc(header);
  return ep_flash_program(flash, address + EP_RECORD_PAYLOAD_MAX, header, sizeof *header);
}

/* What can be said of a manifest by itself and by this board. */
static int ep_record_check_manifest(const edgeplug_Manifest *manifest) {
  const ep_board_map_t *map = ep_board_map();
  const edgeplug_Limits *limits = &manifest->limits;
  const edgeplug_TrialRules *rules = &manifest->trial;
  if (manifest->format != 1u || manifest->name[0] == '\0' || (uint32_t)manifest->kind - 1u > 1u ||
      manifest->payload_size == 0u || limits->fuel == 0u || limits->call_depth == 0u ||
      rules->attempts > EP_RECORD_MARK_TRIAL_COUNT || rules->healthy_scans > rules->deadline_scans) {
    return EP_ERR_MANIFEST;
  }
  if (manifest->payload_size > EP_RECORD_PAYLOAD_MAX) return EP_ERR_PACKAGE_TOO_LARGE;
  if (manifest->board_class != 0u && manifest->board_class != map->board_class) return EP_ERR_BOARD_CLASS;
  if (manifest->abi != EP_ABI) return EP_ERR_ABI;
  if (manifest->inputs > map->inputs || manifest->outputs > map->outputs) return EP_ERR_CHANNELS;
  if (limits->memory_bytes > EP_MAX_MEMORY || limits->stack_slots > EP_MAX_STACK_SLOTS ||
      limits->call_depth > EP_MAX_CALL_DEPTH || limits->io_buffer_bytes > EP_MAX_IO_BUFFER) {
    return EP_ERR_MEMORY;
  }
  return EP_OK;
}

int ep_record_manifest(const ep_record_t *record, edgeplug_Manifest *manifest) {
  pb_istream_t stream = pb_istream_from_buffer(record->header.manifest, record->header.manifest_length);
  edgeplug_TrialRules *trial = &manifest->trial;
  memset(manifest, 0, sizeof *manifest);
  if (!pb_decode(&stream, edgeplug_Manifest_fields, manifest)) return EP_ERR_MANIFEST;
  if (trial->healthy_scans == 0u) trial->healthy_scans = 1000;
  if (trial->deadline_scans == 0u) trial->deadline_scans = 60000;
  if (trial->attempts == 0u) trial->attempts = 3;
  if (trial->min_requests == 0u) trial->min_requests = 1;
  if (manifest->kind == edgeplug_AgentKind_AGENT_KIND_CONTROL) trial->min_requests = 0;
  if (manifest->scan_divider == 0u) manifest->scan_divider = 1;
  return ep_record_check_manifest(manifest);
}

void ep_record_name(const void *data, uint32_t size, uint8_t name[EP_JOURNAL_DIGEST]) {
  uint8_t whole[EP_SHA512_SIZE];
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, data, size);
  ep_sha512_final(&hash, whole);
  memcpy(name, whole, EP_JOURNAL_DIGEST);
}

void ep_record_digest(const ep_record_t *record, uint8_t digest[EP_JOURNAL_DIGEST]) {
  ep_record_name(record->header.manifest, record->header.manifest_length, digest);
}

static int ep_record_hash_payload(uint32_t slot, const edgeplug_Manifest *manifest) {
  uint32_t address = ep_board_map()->slot_address[slot], left = manifest->payload_size, crc = 0;
  uint8_t block[EP_BLOCK];
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  while (left > 0u) {
    uint32_t size = left < EP_BLOCK ? left : EP_BLOCK;
    int error = ep_flash_fetch(address, block, size);
    if (error != EP_OK) return error;
    crc = ep_crc32(crc, block, size);
    ep_sha512_update(&hash, block, size);
    ep_board_work(EP_WORK_SHA512_BLOCK);
    ep_board_work(EP_WORK_CRC_BLOCK);
    address += size;
    left -= size;
  }
  ep_sha512_final(&hash, block);
  if (crc != manifest->payload_crc32) return EP_ERR_PAYLOAD_CRC;
  return memcmp(block, manifest->payload_sha512, EP_SHA512_SIZE) == 0 ? EP_OK : EP_ERR_PAYLOAD_DIGEST;
}

int ep_record_check_payload(uint32_t slot, const edgeplug_Manifest *manifest) {
  int error = EP_ERR_PAYLOAD_DIGEST;
  if (manifest->payload_size > EP_RECORD_PAYLOAD_MAX) return error;
  for (uint32_t tries = 0; tries < EP_READ_TRIES && error != EP_OK; tries++) {
    error = ep_record_hash_payload(slot, manifest);
  }
  return error;
}
