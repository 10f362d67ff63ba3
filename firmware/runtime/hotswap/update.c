/* An update from Begin to Staged. */
#include <stddef.h>
#include <string.h>

#include "core/board.h"
#include "core/limits.h"
#include "defects.h"
#include "engine.h"
#include "errors.h"

#define EP_STALL_US   30000000u
#define EP_CHUNK_MAX  512u
#define EP_PAGE_TRIES 3u  /* pages that may be written again in one session */
#define EP_SCAN_SHARE 70u /* percent of a scan that agents may take */

/* What makes a package the same: key id, signature, manifest; for a resume the flags too. */
static bool ep_update_same(const ep_record_header_t *a, const ep_record_header_t *b, size_t end) {
  return memcmp(a->key_id, b->key_id, end - offsetof(ep_record_header_t, key_id)) == 0;
}

static void ep_update_announce(ep_record_header_t *header, const edgeplug_Begin *begin) {
  memset(header, 0, sizeof *header);
  header->magic = EP_RECORD_MAGIC;
  header->format = EP_RECORD_FORMAT;
  header->manifest_length = begin->manifest.size;
  header->timestamp = begin->timestamp;
  memcpy(header->key_id, begin->key_id.bytes, begin->key_id.size);
  memcpy(header->signature, begin->signature.bytes, begin->signature.size);
  memcpy(header->manifest, begin->manifest.bytes, begin->manifest.size);
}

/* Signature by the rules of open and locked boards; leaves the flags in the header. */
static int ep_update_authorise(ep_hotswap_t *engine, const edgeplug_Begin *begin) {
  ep_record_header_t *header = &engine->record.header;
  bool locked = ep_hotswap_locked(engine);
  int error;
  if (begin->key_id.size + begin->signature.size == 0u) return locked ? EP_ERR_UNSIGNED : EP_OK;
  if (begin->key_id.size != EP_RECORD_KEY_ID_SIZE || begin->signature.size != EP_RECORD_SIGNATURE_SIZE) {
    return EP_ERR_SIGNATURE;
  }
  header->flags = EP_RECORD_FLAG_SIGNED;
  error = ep_keys_verify(&engine->journal, edgeplug_KeyRole_KEY_ROLE_PUBLISHER, header->key_id,
                         header->manifest_length);
  if (error == EP_ERR_KEY_UNKNOWN && !locked) return EP_OK;
  header->flags |= EP_RECORD_FLAG_VERIFIED;
  return error;
}

/* One tick must have time for the candidate and, beside it, the agent that runs now: also one that asks to be run only
 * every n-th tick, or the ticks in between would be late. */
static bool ep_update_fuel_fits(const ep_hotswap_t *engine, const edgeplug_Manifest *manifest) {
  const ep_board_map_t *map = ep_board_map();
  if (manifest->limits.fuel > EP_MAX_FUEL || manifest->limits.init_fuel > EP_MAX_FUEL) return false;
  if (manifest->kind != edgeplug_AgentKind_AGENT_KIND_CONTROL) return true;
  return ((uint64_t)manifest->limits.fuel + engine->active_fuel) * map->nanos_per_fuel <=
         (uint64_t)map->tick_us * (1000u * EP_SCAN_SHARE / 100u);
}

/* What a package below the board's versions is told: `error`, unless that was asked for and may be. */
static int ep_update_lower(const ep_hotswap_t *engine, bool allow_downgrade, int error) {
  uint8_t digest[EP_JOURNAL_DIGEST];
  if (!allow_downgrade) return error;
  if (!ep_hotswap_locked(engine)) return EP_OK;
  ep_record_digest(&engine->record, digest);
  return memcmp(digest, engine->authority.grant, sizeof digest) == 0 ? EP_OK : EP_ERR_LOCKED;
}

/* What can be said of a manifest that fits this board, beside the agent that runs. */
static int ep_update_check(const ep_hotswap_t *engine, const edgeplug_Manifest *manifest,
                           bool allow_downgrade) {
  if (!ep_update_fuel_fits(engine, manifest)) return EP_ERR_FUEL;
  if (manifest->security_version < engine->journal.kept[EP_KEPT_STATE].u.state.security_version) {
    return ep_update_lower(engine, allow_downgrade, EP_ERR_SECURITY_VERSION);
  }
  return EP_OK;
}

/* The release rule, between the announced package and the confirmed one in `record`. */
static int ep_update_check_release(const ep_hotswap_t *engine, const edgeplug_Manifest *manifest,
                                   const ep_record_t *record, bool allow_downgrade) {
  edgeplug_Manifest other;
  if (ep_record_manifest(record, &other) != EP_OK || strcmp(other.name, manifest->name) != 0 ||
      other.release < manifest->release ||
      (other.release == manifest->release &&
       memcmp(record->header.manifest, engine->record.header.manifest, EP_RECORD_MANIFEST_MAX) == 0)) {
    return EP_OK;
  }
  return ep_update_lower(engine, allow_downgrade, EP_ERR_RELEASE);
}

/* Looks at both slots: release rule, target (never the slot that runs or would be fallen back to), and `number`: one
 * more than the larger of both, and than any that the journal knows things about; 0 if they are used up. */
static int ep_update_survey(ep_hotswap_t *engine, const edgeplug_Manifest *manifest, bool allow_downgrade,
                            uint32_t *number) {
  const ep_journal_entry_t *kept = engine->journal.kept;
  uint32_t keep = engine->active, best = 0;
  ep_record_t record;
  *number = 0;
  for (uint32_t index = EP_KEPT_FACTS; index <= EP_KEPT_STAGING; index++) {
    if (kept[index].swap_number > *number) *number = kept[index].swap_number;
  }
  for (uint32_t slot = 0; slot < 2u; slot++) {
    uint32_t swap_number;
    int error;
    ep_record_read(&engine->journal, slot, &record);
    swap_number = record.header.swap_number;
    if (swap_number > *number) *number = swap_number;
    if (record.state != edgeplug_SlotState_SLOT_STATE_CONFIRMED) continue;
    if (engine->active == EP_HOTSWAP_NONE && (keep == EP_HOTSWAP_NONE || swap_number > best)) {
      keep = slot;
      best = swap_number;
    }
    error = ep_update_check_release(engine, manifest, &record, allow_downgrade);
    if (error != EP_OK) return error;
  }
  if (EP_DEFECT(NUMBER_FROM_THE_ACTIVE_SLOT)) *number = engine->active_swap;
  ++*number;
  engine->target = keep != EP_HOTSWAP_NONE ? (uint8_t)(keep ^ 1u) : kept[EP_KEPT_STAGING].slot & 1u;
  if (EP_DEFECT(ERASE_THE_CONFIRMED_SLOT)) engine->target ^= 1u;
  return EP_OK;
}

/* Whether the target holds just what a resumed session needs. Then takes it for the session's. */
static bool ep_update_adopt(ep_hotswap_t *engine) {
  ep_record_t record;
  ep_record_read(&engine->journal, engine->target, &record);
  if (!ep_record_intact(&record) ||
      record.header.swap_number != engine->journal.kept[EP_KEPT_STAGING].swap_number ||
      !ep_update_same(&record.header, &engine->record.header, offsetof(ep_record_header_t, reserved)) ||
      record.marks.touched != (record.marks.set & EP_MARK_BIT(EP_MARK_STAGED))) {
    return false;
  }
  engine->record = record;
  return true;
}

/* Opens the session, new or resumed. */
static int ep_update_open(ep_hotswap_t *engine, const edgeplug_Manifest *manifest, uint32_t number,
                          bool *resumed) {
  ep_journal_entry_t *staging = &engine->journal.kept[EP_KEPT_STAGING];
  uint32_t erase_size = ep_board_map()->erase_size, record_page = EP_RECORD_PAYLOAD_MAX / erase_size;
  uint8_t digest[EP_JOURNAL_DIGEST];
  int error;
  ep_record_digest(&engine->record, digest);
  if (ep_journal_is_spent(&engine->journal, digest)) return EP_ERR_SPENT;
  engine->record.header.payload_size = manifest->payload_size;
  engine->record.header.payload_crc = manifest->payload_crc32;
  *resumed = staging->kind != 0u && staging->slot == engine->target &&
             memcmp(staging->u.data, digest, EP_JOURNAL_DIGEST) == 0;
  if (EP_DEFECT(HALF_RECEIVED_SLOT_IN_USE) && !*resumed && staging->kind != 0u) return EP_ERR_BUSY;
  if (!*resumed || !ep_update_adopt(engine)) {
    if (number == 0u) return EP_ERR_SWAP_NUMBERS;
    engine->record.header.swap_number = number;
    error = ep_record_open_page(&engine->journal.flash, engine->target, EP_RECORD_PAYLOAD_MAX,
                                &engine->record.header);
    if (error != EP_OK) return error;
    if (!*resumed) staging->extra = 0;
    if (staging->extra > record_page) staging->extra = (uint8_t)record_page;
    staging->slot = engine->target;
    staging->reason = (uint8_t)((manifest->payload_size + erase_size - 1u) / erase_size);
    staging->swap_number = number;
    memcpy(staging->u.data, digest, EP_JOURNAL_DIGEST);
    error =
        ep_journal_save(&engine->journal, EP_KEPT_STAGING, *resumed ? EP_JOURNAL_PROGRESS : EP_JOURNAL_BEGIN);
    if (error != EP_OK) return error;
  }
  while (EP_DEFECT(RESUME_TRUSTS_BLANK_BYTES) && *resumed && staging->extra < staging->reason &&
         ep_flash_compare(ep_board_map()->slot_address[engine->target] + staging->extra * erase_size, NULL,
                          EP_FLASH_UNIT) != EP_OK) {
    staging->extra++;
  }
  engine->next_offset = staging->extra * erase_size;
  if (engine->next_offset > manifest->payload_size) engine->next_offset = manifest->payload_size;
  engine->retries = 0;
  engine->page_open = EP_DEFECT(RESUME_WITHOUT_ERASE) && *resumed;
  engine->last_error = EP_OK;
  return EP_OK;
}

/* Received in full: it is verified in the next poll. */
static void ep_update_receive(ep_hotswap_t *engine) {
  ep_engine_phase(engine, engine->next_offset == engine->record.header.payload_size
                              ? edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING
                              : edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING);
}

/* Everything after the signature. Flash is touched last. */
static int ep_update_admit(ep_hotswap_t *engine, bool allow_downgrade, bool *resumed) {
  edgeplug_Manifest manifest;
  uint32_t number;
  int error = ep_record_manifest(&engine->record, &manifest);
  if (error == EP_OK) error = ep_update_check(engine, &manifest, allow_downgrade);
  if (error == EP_OK) error = ep_update_survey(engine, &manifest, allow_downgrade, &number);
  if (error == EP_OK) error = ep_update_open(engine, &manifest, number, resumed);
  if (error == EP_OK) ep_update_receive(engine);
  return error;
}

/* While a session is open or a trial runs only the session's own Begin is welcome again. */
static bool ep_update_is_session(const ep_hotswap_t *engine, const edgeplug_Begin *begin) {
  ep_record_header_t header;
  ep_update_announce(&header, begin);
  return engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL &&
         ep_update_same(&header, &engine->record.header, offsetof(ep_record_header_t, flags));
}

int ep_hotswap_begin(ep_hotswap_t *engine, const edgeplug_Begin *begin, edgeplug_BeginReply *reply) {
  int error = EP_OK;
  if (engine->journal.damaged) return engine->journal.damaged;
  if (begin->manifest.size == 0u) return EP_ERR_MANIFEST;
  reply->resumed = true;
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_IDLE) {
    if (!ep_update_is_session(engine, begin)) return EP_ERR_BUSY;
  } else {
    ep_update_announce(&engine->record.header, begin);
    error = ep_update_authorise(engine, begin);
    if (error == EP_OK) error = ep_update_admit(engine, begin->allow_downgrade, &reply->resumed);
  }
  ep_hotswap_touch(engine);
  reply->offset = engine->next_offset;
  reply->swap_number = engine->record.header.swap_number;
  reply->slot = engine->target;
  return error;
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* Takes bytes up to the end of a block and programs it when it is full; the last one of the payload is filled up
 * with ones. Returns how many bytes it took. */
static uint32_t ep_update_take(ep_hotswap_t *engine, const uint8_t *data, uint32_t size, int *error) {
  ep_journal_t *journal = &engine->journal;
  uint32_t total = engine->record.header.payload_size, erase_size = ep_board_map()->erase_size;
  uint32_t in_block = engine->next_offset % EP_HOTSWAP_BLOCK, block = engine->next_offset - in_block, end;
  if (!engine->page_open) {
    *error = ep_record_open_page(&journal->flash, engine->target, block, &engine->record.header);
    engine->page_open = *error == EP_OK;
    if (*error != EP_OK) return 0;
  }
  end = block + EP_HOTSWAP_BLOCK < total ? block + EP_HOTSWAP_BLOCK : total;
  if (size > end - engine->next_offset) size = end - engine->next_offset;
  if (in_block == 0u) memset(engine->block, 0xFF, sizeof engine->block);
  memcpy(engine->block + in_block, data, size);
  engine->next_offset += size;
  if (engine->next_offset != end) return size;
  *error = ep_flash_program(&journal->flash, ep_board_map()->slot_address[engine->target] + block,
                            engine->block, (end - block + EP_FLASH_UNIT - 1u) & ~(EP_FLASH_UNIT - 1u));
  if (*error != EP_OK) {
    /* The page is tried again from its start. */
    engine->next_offset = block & ~(erase_size - 1u);
    engine->page_open = false;
  } else if (end % erase_size == 0u || end == total) {
    engine->page_open = false;
    journal->kept[EP_KEPT_STAGING].extra++;
    (void)ep_journal_save(journal, EP_KEPT_STAGING, EP_JOURNAL_PROGRESS);
  }
  return size;
}

int ep_hotswap_chunk(ep_hotswap_t *engine, uint32_t offset, const uint8_t *data, uint32_t size,
                     uint32_t *next_offset) {
  uint32_t total = engine->record.header.payload_size, skip = engine->next_offset - offset;
  int error = EP_OK;
  *next_offset = engine->next_offset;
  /* A late copy of the last chunk is no fault. */
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_IDLE ||
      engine->phase > edgeplug_UpdatePhase_UPDATE_PHASE_STAGED) {
    return EP_ERR_NO_SESSION;
  }
  if (size > EP_CHUNK_MAX || offset > total || size > total - offset) return EP_ERR_BAD_REQUEST;
  /* Behind a gap, or nothing new; a skip below 0 wraps. */
  while (skip < size && error == EP_OK) skip += ep_update_take(engine, data + skip, size - skip, &error);
  *next_offset = engine->next_offset;
  if (error != EP_OK) {
    if (engine->retries++ < EP_PAGE_TRIES) return EP_OK;
    ep_engine_end(engine, error);
  } else if (engine->next_offset == total && engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING) {
    ep_update_receive(engine);
  }
  return error;
}

/* ---- verifying -------------------------------------------------------------------------------- */

static void ep_update_verify(ep_hotswap_t *engine) {
  edgeplug_Manifest manifest;
  int error = ep_record_manifest(&engine->record, &manifest);
  if (EP_DEFECT(MARK_BEFORE_READ_BACK)) {
    (void)ep_marks_set(&engine->journal, engine->target, engine->record.header.swap_number, EP_MARK_STAGED,
                       0);
  }
  if (error == EP_OK) error = ep_record_check_payload(engine->target, &manifest);
  if (error == EP_OK) error = ep_engine_prepare(engine, engine->target, &manifest, true);
  if (error == EP_OK) {
    error =
        ep_marks_set(&engine->journal, engine->target, engine->record.header.swap_number, EP_MARK_STAGED, 0);
  }
  if (error != EP_OK) {
    ep_engine_fail(engine, edgeplug_EventKind_EVENT_KIND_STAGING_FAILED, ep_engine_reason(error), error);
    return;
  }
  if (EP_DEFECT(SECURITY_VERSION_AT_STAGING)) {
    engine->journal.kept[EP_KEPT_STATE].u.state.security_version = manifest.security_version;
    (void)ep_journal_save(&engine->journal, EP_KEPT_STATE, EP_JOURNAL_STATE);
  }
  (void)ep_engine_note(engine, EP_JOURNAL_STAGED);
  ep_hotswap_touch(engine);
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
}

void ep_hotswap_touch(ep_hotswap_t *engine) {
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_IDLE) engine->touched_us = ep_board_time_us();
}

void ep_hotswap_poll(ep_hotswap_t *engine) {
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW) ep_engine_poll_shadow(engine);
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_IDLE) {
    ep_engine_poll_idle(engine);
  } else if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING) {
    ep_update_verify(engine);
  } else if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    ep_engine_poll_trial(engine);
  } else if (ep_board_time_us() - engine->touched_us >= EP_STALL_US) {
    ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_STAGING_FAILED, edgeplug_Reason_REASON_NONE,
                    EP_ERR_STALLED);
    (void)ep_engine_drop(engine, EP_ERR_STALLED);
  }
}
