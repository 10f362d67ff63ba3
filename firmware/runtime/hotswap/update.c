/* An update from Begin to Staged. */
#include <string.h>

#include "core/board.h"
#include "core/limits.h"
#include "engine.h"
#include "errors.h"

#define EP_STALL_US   30000000u
#define EP_CHUNK_MAX  512u
#define EP_PAGE_TRIES 3u  /* pages that may be written again in one session */
#define EP_SCAN_SHARE 70u /* percent of a scan that agents may take */

/* What the host announced: everything from key id to flags. */
#define EP_ANNOUNCED_OFFSET EP_RECORD_KEY_ID_OFFSET
#define EP_ANNOUNCED_SIZE   (EP_RECORD_FLAGS_OFFSET - EP_RECORD_KEY_ID_OFFSET)

static bool ep_update_same_package(const uint8_t *a, const uint8_t *b) {
  return memcmp(a + EP_ANNOUNCED_OFFSET, b + EP_ANNOUNCED_OFFSET, EP_ANNOUNCED_SIZE) == 0;
}

static void ep_update_announce(uint8_t header[EP_RECORD_HEADER_SIZE], const edgeplug_Begin *begin) {
  memset(header, 0, EP_RECORD_HEADER_SIZE);
  ep_record_put_u32(header + EP_RECORD_MAGIC_OFFSET, EP_RECORD_MAGIC);
  ep_record_put_u32(header + EP_RECORD_FORMAT_OFFSET,
                    EP_RECORD_FORMAT | (uint32_t)begin->manifest.size << 16);
  ep_record_put_u32(header + EP_RECORD_TIMESTAMP_OFFSET, begin->timestamp);
  memcpy(header + EP_RECORD_KEY_ID_OFFSET, begin->key_id.bytes, begin->key_id.size);
  memcpy(header + EP_RECORD_SIGNATURE_OFFSET, begin->signature.bytes, begin->signature.size);
  memcpy(header + EP_RECORD_MANIFEST_OFFSET, begin->manifest.bytes, begin->manifest.size);
}

/* Signature by the rules of open and locked boards; leaves the flags in the header. */
static int ep_update_authorise(const ep_hotswap_t *engine, uint8_t header[EP_RECORD_HEADER_SIZE],
                               const edgeplug_Begin *begin) {
  bool locked = ep_hotswap_locked(engine);
  int error;
  if (begin->key_id.size == 0u && begin->signature.size == 0u) return locked ? EP_ERR_UNSIGNED : EP_OK;
  if (begin->key_id.size != EP_RECORD_KEY_ID_SIZE || begin->signature.size != EP_RECORD_SIGNATURE_SIZE) {
    return EP_ERR_SIGNATURE;
  }
  header[EP_RECORD_FLAGS_OFFSET] = EP_RECORD_FLAG_SIGNED;
  error = ep_keys_verify(&engine->journal, header);
  if (error == EP_ERR_KEY_UNKNOWN && !locked) return EP_OK;
  if (error == EP_OK) header[EP_RECORD_FLAGS_OFFSET] |= EP_RECORD_FLAG_VERIFIED;
  return error;
}

/* The scan must have time for the candidate and, beside it, the agent that runs now. */
static bool ep_update_fuel_fits(const ep_hotswap_t *engine, const edgeplug_Manifest *manifest) {
  const ep_board_map_t *map = ep_board_map();
  uint32_t divider = manifest->scan_divider != 0u ? manifest->scan_divider : 1u;
  if (manifest->limits.fuel > EP_MAX_FUEL || manifest->limits.init_fuel > EP_MAX_FUEL) return false;
  if (manifest->kind != edgeplug_AgentKind_AGENT_KIND_CONTROL) return true;
  if (engine->active_fuel != 0u && engine->active_divider < divider) {
    divider = engine->active_divider != 0u ? engine->active_divider : 1u;
  }
  return ((uint64_t)manifest->limits.fuel + engine->active_fuel) * map->nanos_per_fuel <=
         (uint64_t)map->tick_us * divider * (1000u * EP_SCAN_SHARE / 100u);
}

/* What can be said of a manifest by itself and by this board. */
static int ep_update_check_manifest(const ep_hotswap_t *engine, const edgeplug_Manifest *manifest) {
  const ep_board_map_t *map = ep_board_map();
  const edgeplug_Limits *limits = &manifest->limits;
  const edgeplug_TrialRules *rules = &manifest->trial;
  uint32_t deadline = rules->deadline_scans != 0u ? rules->deadline_scans : EP_TRIAL_DEADLINE;
  if (manifest->format != 1u || manifest->name[0] == '\0' || (uint32_t)manifest->kind - 1u > 1u ||
      manifest->payload_size == 0u || limits->fuel == 0u || rules->attempts > EP_TRIAL_ATTEMPTS ||
      rules->healthy_scans > deadline) {
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
  if (!ep_update_fuel_fits(engine, manifest)) return EP_ERR_FUEL;
  if (manifest->security_version < engine->journal.security_version) return EP_ERR_SECURITY_VERSION;
  return EP_OK;
}

/* The release rule, against the confirmed packages of the same name. */
static int ep_update_check_release(const ep_hotswap_t *engine, const edgeplug_Manifest *manifest,
                                   bool allow_downgrade) {
  uint8_t header[EP_RECORD_HEADER_SIZE];
  edgeplug_Manifest other;
  ep_record_t record;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    ep_record_read(&engine->journal, slot, header, &record);
    if (!record.intact || (record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) == 0u ||
        (record.marks.set & EP_MARK_BIT(EP_MARK_REJECTED)) != 0u ||
        ep_record_manifest(header, &other) != EP_OK || strcmp(other.name, manifest->name) != 0 ||
        other.release < manifest->release) {
      continue;
    }
    if (other.release == manifest->release &&
        memcmp(header + EP_RECORD_MANIFEST_OFFSET, engine->header + EP_RECORD_MANIFEST_OFFSET,
               EP_RECORD_MANIFEST_MAX) == 0) {
      continue;
    }
    if (!allow_downgrade) return EP_ERR_RELEASE;
    if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  }
  return EP_OK;
}

/* The slot that an update may use: never the one that runs or would be fallen back to. */
static uint32_t ep_update_target(const ep_hotswap_t *engine) {
  uint32_t keep = engine->active;
  uint32_t best = 0;
  for (uint32_t slot = 0; slot < 2u && engine->active == EP_HOTSWAP_NONE; slot++) {
    uint8_t header[EP_RECORD_HEADER_SIZE];
    ep_record_t record;
    ep_record_read(&engine->journal, slot, header, &record);
    if (record.intact && (record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u &&
        (record.marks.set & EP_MARK_BIT(EP_MARK_REJECTED)) == 0u && record.swap_number >= best) {
      keep = slot;
      best = record.swap_number;
    }
  }
  if (keep != EP_HOTSWAP_NONE) return keep ^ 1u;
  return engine->journal.staging.active ? engine->journal.staging.slot : 0u;
}

/* One more than the larger of both slots, and than any number that the journal knows things about. 0: used up. */
static uint32_t ep_update_number(const ep_hotswap_t *engine) {
  const ep_journal_t *journal = &engine->journal;
  uint32_t most = journal->staging.active ? journal->staging.swap_number : 0u;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    uint8_t header[EP_RECORD_HEADER_SIZE];
    ep_record_t record;
    ep_record_read(journal, slot, header, &record);
    if (record.swap_number > most) most = record.swap_number;
    if (journal->facts[slot].swap_number > most) most = journal->facts[slot].swap_number;
  }
  return most + 1u;
}

/* Whether the target holds just what a resumed session needs. Then takes it for the session's. */
static bool ep_update_adopt(ep_hotswap_t *engine) {
  uint8_t header[EP_RECORD_HEADER_SIZE];
  ep_record_t record;
  ep_record_read(&engine->journal, engine->target, header, &record);
  if (!record.intact || record.swap_number != engine->journal.staging.swap_number ||
      !ep_update_same_package(header, engine->header) ||
      header[EP_RECORD_FLAGS_OFFSET] != engine->header[EP_RECORD_FLAGS_OFFSET] ||
      record.marks.touched != (record.marks.set & EP_MARK_BIT(EP_MARK_STAGED))) {
    return false;
  }
  memcpy(engine->header, header, sizeof header);
  return true;
}

/* Erases the record's page and writes the session's record under a new number. */
static int ep_update_write_record(ep_hotswap_t *engine) {
  ep_journal_t *journal = &engine->journal;
  uint32_t number = ep_update_number(engine), page = ep_record_page();
  bool resumed = journal->staging.active;
  int error;
  if (number == 0u) return EP_ERR_SWAP_NUMBERS;
  ep_record_put_u32(engine->header + EP_RECORD_SWAP_NUMBER_OFFSET, number);
  ep_record_seal(engine->header);
  error = ep_flash_erase(&journal->flash,
                         ep_board_map()->slot_address[engine->target] + page * ep_board_map()->erase_size);
  if (error == EP_OK) error = ep_record_write(&journal->flash, engine->target, engine->header);
  if (error != EP_OK) return error;
  journal->staging.swap_number = number;
  if (journal->staging.done > page) journal->staging.done = (uint8_t)page;
  return ep_journal_staging(journal, resumed ? EP_JOURNAL_PROGRESS : EP_JOURNAL_BEGIN);
}

/* Opens the session, new or resumed. */
static int ep_update_open(ep_hotswap_t *engine, const edgeplug_Manifest *manifest,
                          const uint8_t digest[EP_JOURNAL_DIGEST], edgeplug_BeginReply *reply) {
  ep_journal_staging_t *staging = &engine->journal.staging;
  uint32_t erase_size = ep_board_map()->erase_size;
  engine->target = (uint8_t)ep_update_target(engine);
  engine->payload_size = manifest->payload_size;
  ep_record_put_u32(engine->header + EP_RECORD_PAYLOAD_SIZE_OFFSET, manifest->payload_size);
  ep_record_put_u32(engine->header + EP_RECORD_PAYLOAD_CRC_OFFSET, manifest->payload_crc32);
  reply->resumed = staging->active && staging->slot == engine->target &&
                   memcmp(staging->digest, digest, EP_JOURNAL_DIGEST) == 0;
  if (!reply->resumed || !ep_update_adopt(engine)) {
    ep_journal_staging_t before = *staging;
    int error;
    if (!reply->resumed) {
      memset(staging, 0, sizeof *staging);
      memcpy(staging->digest, digest, EP_JOURNAL_DIGEST);
      staging->slot = engine->target;
      staging->pages = (uint8_t)((manifest->payload_size + erase_size - 1u) / erase_size);
    }
    error = ep_update_write_record(engine);
    if (error != EP_OK) {
      *staging = before;
      return error;
    }
  }
  engine->next_offset = staging->done * erase_size;
  engine->tail_size = 0;
  engine->retries = 0;
  engine->page_open = false;
  engine->last_error = EP_OK;
  if (engine->next_offset >= engine->payload_size) {
    engine->next_offset = engine->payload_size;
    ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING);
  } else {
    ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING);
  }
  return EP_OK;
}

/* Everything between the signature and the first touch of flash. */
static int ep_update_admit(ep_hotswap_t *engine, bool allow_downgrade, edgeplug_BeginReply *reply) {
  uint8_t digest[EP_JOURNAL_DIGEST];
  edgeplug_Manifest manifest;
  int error = ep_record_manifest(engine->header, &manifest);
  if (error == EP_OK) error = ep_update_check_manifest(engine, &manifest);
  if (error == EP_OK) error = ep_update_check_release(engine, &manifest, allow_downgrade);
  if (error != EP_OK) return error;
  ep_record_digest(engine->header, digest);
  if (ep_journal_is_spent(&engine->journal, digest)) return EP_ERR_SPENT;
  return ep_update_open(engine, &manifest, digest, reply);
}

/* While a session is open or a trial runs: only the session's own Begin again is welcome. */
static bool ep_update_is_session(const ep_hotswap_t *engine, const edgeplug_Begin *begin) {
  uint8_t header[EP_RECORD_HEADER_SIZE];
  if (engine->phase > edgeplug_UpdatePhase_UPDATE_PHASE_STAGED) return false;
  ep_update_announce(header, begin);
  return ep_update_same_package(header, engine->header);
}

int ep_hotswap_begin(ep_hotswap_t *engine, const edgeplug_Begin *begin, edgeplug_BeginReply *reply) {
  int error = EP_OK;
  if (engine->journal.damaged) return EP_ERR_JOURNAL;
  if (begin->manifest.size == 0u) return EP_ERR_MANIFEST;
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_IDLE) {
    if (!ep_update_is_session(engine, begin)) return EP_ERR_BUSY;
    reply->resumed = true;
  } else {
    ep_update_announce(engine->header, begin);
    error = ep_update_authorise(engine, engine->header, begin);
    if (error == EP_OK) error = ep_update_admit(engine, begin->allow_downgrade, reply);
  }
  if (error != EP_OK) return error;
  ep_hotswap_touch(engine);
  reply->offset = engine->next_offset;
  reply->swap_number = ep_engine_swap(engine);
  reply->slot = engine->target;
  return EP_OK;
}

/* ---- receiving -------------------------------------------------------------------------------- */

static int ep_update_open_page(ep_hotswap_t *engine, uint32_t page) {
  ep_flash_t *flash = &engine->journal.flash;
  int error =
      ep_flash_erase(flash, ep_board_map()->slot_address[engine->target] + page * ep_board_map()->erase_size);
  if (error == EP_OK && page == ep_record_page())
    error = ep_record_write(flash, engine->target, engine->header);
  engine->page_open = error == EP_OK;
  return error;
}

/* Programs what has come of the open page; the last unit of the payload is filled up with ones. */
static int ep_update_program(ep_hotswap_t *engine, const uint8_t *data, uint32_t size, uint32_t end) {
  ep_flash_t *flash = &engine->journal.flash;
  uint32_t slot = ep_board_map()->slot_address[engine->target];
  int error = EP_OK;
  while (size > 0u && error == EP_OK) {
    uint32_t part;
    if (engine->tail_size == 0u && size >= EP_FLASH_UNIT) {
      part = size & ~(EP_FLASH_UNIT - 1u);
      error = ep_flash_program(flash, slot + engine->next_offset, data, part);
    } else {
      part = EP_FLASH_UNIT - engine->tail_size < size ? EP_FLASH_UNIT - engine->tail_size : size;
      if (engine->tail_size == 0u) memset(engine->tail, 0xFF, sizeof engine->tail);
      memcpy(engine->tail + engine->tail_size, data, part);
      engine->tail_size = (uint8_t)(engine->tail_size + part);
      if (engine->tail_size == EP_FLASH_UNIT || engine->next_offset + part == end) {
        error = ep_flash_program(flash, slot + (engine->next_offset & ~(EP_FLASH_UNIT - 1u)), engine->tail,
                                 EP_FLASH_UNIT);
        engine->tail_size = 0;
      }
    }
    engine->next_offset += part;
    data += part;
    size -= part;
  }
  return error;
}

/* Takes the part of the data that belongs to one page; returns how much that was. */
static uint32_t ep_update_take(ep_hotswap_t *engine, const uint8_t *data, uint32_t size, int *error) {
  ep_journal_staging_t *staging = &engine->journal.staging;
  uint32_t erase_size = ep_board_map()->erase_size, page = engine->next_offset / erase_size;
  uint32_t end =
      (page + 1u) * erase_size < engine->payload_size ? (page + 1u) * erase_size : engine->payload_size;
  if (size > end - engine->next_offset) size = end - engine->next_offset;
  *error = engine->page_open ? EP_OK : ep_update_open_page(engine, page);
  if (*error == EP_OK) *error = ep_update_program(engine, data, size, end);
  if (*error != EP_OK) {
    /* The page is tried again from its start. */
    engine->next_offset = page * erase_size;
    engine->tail_size = 0;
  }
  if (*error == EP_OK && engine->next_offset != end) return size;
  engine->page_open = false;
  if (*error != EP_OK) return size;
  staging->done = (uint8_t)(page + 1u);
  (void)ep_journal_staging(&engine->journal, EP_JOURNAL_PROGRESS);
  return size;
}

int ep_hotswap_chunk(ep_hotswap_t *engine, uint32_t offset, const uint8_t *data, uint32_t size,
                     uint32_t *next_offset) {
  int error = EP_OK;
  *next_offset = engine->next_offset;
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING) {
    /* A late copy of the last chunk is no fault. */
    return engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING ||
                   engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_STAGED
               ? EP_OK
               : EP_ERR_NO_SESSION;
  }
  if (size > EP_CHUNK_MAX || offset > engine->payload_size || size > engine->payload_size - offset) {
    return EP_ERR_BAD_REQUEST;
  }
  if (offset > engine->next_offset || offset + size <= engine->next_offset) return EP_OK;
  size -= engine->next_offset - offset;
  data += engine->next_offset - offset;
  while (size > 0u && error == EP_OK) {
    uint32_t taken = ep_update_take(engine, data, size, &error);
    data += taken;
    size -= taken;
  }
  *next_offset = engine->next_offset;
  if (error != EP_OK && engine->retries++ < EP_PAGE_TRIES) return EP_OK;
  if (error != EP_OK) {
    ep_engine_idle(engine, error);
  } else if (engine->next_offset == engine->payload_size) {
    ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING);
  }
  return error;
}

/* ---- verifying -------------------------------------------------------------------------------- */

static void ep_update_verify(ep_hotswap_t *engine) {
  ep_journal_t *journal = &engine->journal;
  uint32_t swap_number = ep_engine_swap(engine);
  edgeplug_Manifest manifest;
  int error = ep_record_manifest(engine->header, &manifest);
  if (error == EP_OK) error = ep_record_check_payload(engine->target, &manifest);
  if (error == EP_OK) error = ep_engine_prepare(engine, engine->target, &manifest, true);
  if (error == EP_OK) error = ep_marks_set(journal, engine->target, swap_number, EP_MARK_STAGED, 0);
  if (error == EP_OK) {
    (void)ep_journal_append(journal, EP_JOURNAL_STAGED, engine->target, 0, 0, swap_number, NULL);
    ep_hotswap_touch(engine);
    ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    return;
  }
  ep_agent_revert(engine->agents);
  ep_engine_reject(engine, engine->target, ep_engine_reason(error));
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_STAGING_FAILED, swap_number, ep_engine_reason(error),
                  error);
  ep_engine_idle(engine, error);
}

void ep_hotswap_touch(ep_hotswap_t *engine) {
  engine->touched_us = ep_board_time_us();
}

void ep_hotswap_poll(ep_hotswap_t *engine) {
  switch (engine->phase) {
  case edgeplug_UpdatePhase_UPDATE_PHASE_IDLE: ep_engine_poll_idle(engine); break;
  case edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING: ep_update_verify(engine); break;
  case edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL: ep_engine_poll_trial(engine); break;
  default:
    if (ep_board_time_us() - engine->touched_us >= EP_STALL_US) {
      ep_agent_revert(engine->agents);
      ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_STAGING_FAILED, ep_engine_swap(engine),
                      edgeplug_Reason_REASON_NONE, EP_ERR_STALLED);
      ep_engine_idle(engine, EP_ERR_STALLED);
    }
    break;
  }
}
