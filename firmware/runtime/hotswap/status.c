/* The engine's part of the replies on the link. */
#include <string.h>

#include "core/board.h"
#include "engine.h"
#include "errors.h"

int ep_hotswap_slot_info(const ep_hotswap_t *engine, uint32_t slot, edgeplug_SlotInfo *info) {
  edgeplug_Manifest manifest;
  ep_record_t record;
  memset(info, 0, sizeof *info);
  if (slot > 1u) return EP_ERR_BAD_REQUEST;
  ep_record_read(&engine->journal, slot, &record);
  info->state = (edgeplug_SlotState)record.state;
  if (!ep_record_intact(&record) || ep_record_manifest(&record, &manifest) != EP_OK) return EP_OK;
  info->swap_number = record.header.swap_number;
  memcpy(info->name, manifest.name, sizeof info->name);
  memcpy(info->version, manifest.version, sizeof info->version);
  info->release = manifest.release;
  info->security_version = manifest.security_version;
  info->payload_size = manifest.payload_size;
  info->kind = manifest.kind;
  info->reason = (edgeplug_Reason)record.marks.reason;
  info->attempts = (uint32_t)__builtin_popcount(record.marks.set & EP_MARK_TRIALS);
  info->timestamp = record.header.timestamp;
  ep_record_digest(&record, info->digest);
  if ((record.header.flags & EP_RECORD_FLAG_SIGNED) == 0u) return EP_OK;
  info->signature = (record.header.flags & EP_RECORD_FLAG_VERIFIED) != 0u
                        ? edgeplug_Signature_SIGNATURE_VERIFIED
                        : edgeplug_Signature_SIGNATURE_UNVERIFIED;
  info->key_id.size = EP_RECORD_KEY_ID_SIZE;
  memcpy(info->key_id.bytes, record.header.key_id, EP_RECORD_KEY_ID_SIZE);
  return EP_OK;
}

void ep_hotswap_spent(const ep_hotswap_t *engine, edgeplug_SpentList *list) {
  ep_journal_cursor_t cursor;
  ep_journal_entry_t entry;
  list->digests_count = 0;
  ep_journal_newest(&engine->journal, &cursor);
  while (list->digests_count < EP_JOURNAL_SPENT && ep_journal_previous(&engine->journal, &cursor, &entry)) {
    if (!ep_journal_spends(&entry)) continue;
    memcpy(list->digests[list->digests_count++], entry.u.data, EP_JOURNAL_DIGEST);
  }
}

void ep_hotswap_status(const ep_hotswap_t *engine, edgeplug_Status *status) {
  const ep_journal_t *journal = &engine->journal;
  uint32_t slot = engine->active, swap_number = engine->active_swap;
  uint32_t state = edgeplug_SlotState_SLOT_STATE_CONFIRMED;
  edgeplug_SpentList spent;
  ep_agent_trial_t trial;
  memset(status, 0, sizeof *status);
  status->phase = (edgeplug_UpdatePhase)engine->phase;
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    slot = engine->target;
    swap_number = engine->record.header.swap_number;
    state = edgeplug_SlotState_SLOT_STATE_TRIAL;
    ep_agent_trial(engine->agents, &trial);
    status->trial_scans = trial.healthy_scans;
    status->trial_needed = engine->rules.healthy_scans;
  }
  status->safe_mode = slot == EP_HOTSWAP_NONE;
  if (!status->safe_mode) {
    status->active_slot = slot;
    status->has_active = true;
    (void)ep_hotswap_slot_info(engine, slot, &status->active);
    /* It runs from RAM, also if its record can't be read any more. */
    if (status->active.swap_number == 0u) {
      status->active.swap_number = swap_number;
      status->active.state = (edgeplug_SlotState)state;
    }
  }
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING) status->next_offset = engine->next_offset;
  ep_hotswap_spent(engine, &spent);
  status->spent = spent.digests_count;
  status->last_reason = (edgeplug_Reason)journal->kept[EP_KEPT_REJECTED].reason;
  status->last_reason_swap = journal->kept[EP_KEPT_REJECTED].swap_number;
  status->last_error = (uint32_t)-engine->last_error;
  status->security_version = journal->kept[EP_KEPT_STATE].u.state.security_version;
  status->locked = ep_hotswap_locked(engine);
  status->journal_error = (uint32_t)-journal->damaged;
  status->boot_number = ep_hotswap_boot_number(engine);
  status->has_counters = true;
  status->counters.flash_erases = journal->flash.erases;
  status->counters.flash_programs = journal->flash.programs;
}

edgeplug_UpdatePhase ep_hotswap_phase(const ep_hotswap_t *engine) {
  return (edgeplug_UpdatePhase)engine->phase;
}

void ep_hotswap_shadow_report(const ep_hotswap_t *engine, edgeplug_ShadowReport *report) {
  uint32_t state = ep_board_scan_mask();
  *report = *ep_agent_shadow_report(engine->agents);
  ep_board_scan_unmask(state);
}

void ep_hotswap_keys(const ep_hotswap_t *engine, edgeplug_KeyList *list) {
  uint8_t key[32], name[EP_JOURNAL_DIGEST];
  list->keys_count = engine->journal.keys;
  for (uint32_t index = 0; index < engine->journal.keys; index++) {
    list->keys[index].role = (edgeplug_KeyRole)ep_journal_key(&engine->journal, index, key);
    ep_record_name(key, sizeof key, name);
    memcpy(list->keys[index].key_id, name, sizeof list->keys[index].key_id);
  }
}

void ep_hotswap_history(const ep_hotswap_t *engine, uint32_t before, edgeplug_History *history) {
  const uint32_t room = sizeof history->entries / sizeof history->entries[0];
  ep_journal_cursor_t cursor;
  ep_journal_entry_t entry;
  history->entries_count = 0;
  ep_journal_newest(&engine->journal, &cursor);
  while (history->entries_count < room && ep_journal_previous(&engine->journal, &cursor, &entry)) {
    edgeplug_HistoryEntry *said;
    if (entry.kind > EP_JOURNAL_LAST_HISTORY || (before != 0u && entry.sequence >= before)) continue;
    said = &history->entries[history->entries_count++];
    said->sequence = entry.sequence;
    said->kind = (edgeplug_HistoryKind)entry.kind;
    said->swap_number = entry.swap_number;
    said->slot = entry.slot;
    said->reason =
        entry.kind == EP_JOURNAL_REJECTED ? (edgeplug_Reason)entry.reason : edgeplug_Reason_REASON_NONE;
    said->detail = entry.extra;
  }
}

int ep_hotswap_read_slot(const ep_hotswap_t *engine, uint32_t slot, uint32_t offset, uint8_t *data,
                         uint32_t size) {
  (void)engine;
  if (slot > 1u || offset > EP_RECORD_SLOT_SIZE || size > EP_RECORD_SLOT_SIZE - offset)
    return EP_ERR_BAD_REQUEST;
  return ep_flash_fetch(ep_board_map()->slot_address[slot] + offset, data, size);
}

uint32_t ep_hotswap_boot_number(const ep_hotswap_t *engine) {
  return engine->journal.kept[EP_KEPT_STATE].u.state.boot_number;
}
