/* Boot: from what lies in flash to a running agent. */
#include <string.h>

#include "boot.h"
#include "core/board.h"
#include "defects.h"
#include "engine.h"
#include "errors.h"

/* Settles one slot's marks and tells the boot choice what is there. */
static void ep_start_inspect(ep_hotswap_t *engine, uint32_t slot, ep_boot_slot_t *found) {
  ep_journal_t *journal = &engine->journal;
  const ep_marks_t *marks = &engine->record.marks;
  uint32_t *floor = &journal->kept[EP_KEPT_STATE].u.state.security_version;
  edgeplug_Manifest manifest;
  uint32_t state = ep_engine_load(engine, slot, &manifest);
  ep_marks_settle(journal, slot, engine->record.header.swap_number, marks);
  found->intact = state != edgeplug_SlotState_SLOT_STATE_EMPTY;
  if (!found->intact) return;
  found->swap_number = engine->record.header.swap_number;
  found->confirmed = (marks->set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u;
  found->rejected = state == edgeplug_SlotState_SLOT_STATE_REJECTED;
  found->attempts = (uint8_t)__builtin_popcount(marks->set & EP_MARK_TRIALS);
  found->allowed = (uint8_t)manifest.trial.attempts;
  if (found->confirmed && manifest.security_version > *floor) *floor = manifest.security_version;
  /* A slot that can't run anyway isn't worth the time of a hash. */
  if (state == edgeplug_SlotState_SLOT_STATE_TRIAL || state == edgeplug_SlotState_SLOT_STATE_CONFIRMED) {
    found->payload =
        EP_DEFECT(PAYLOAD_NOT_CHECKED_AT_BOOT) || ep_record_check_payload(slot, &manifest) == EP_OK;
  }
}

/* A slot that would run but for its payload: another one takes its place, for good. Left alone if there is no other:
 * the next reading may be better. */
static bool ep_start_is_rotten(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision,
                               uint32_t slot) {
  const ep_boot_slot_t *found = &facts->slots[slot];
  if (!found->intact || found->payload || found->rejected) return false;
  if (!found->confirmed) return found->attempts > 0u;
  return decision->run == (slot ^ 1u) && found->swap_number >= facts->slots[slot ^ 1u].swap_number;
}

/* A journal that the board may not even read is no damaged one, and wants another remedy. */
static void ep_start_explain(ep_journal_t *journal) {
  uint8_t byte;
  if (journal->damaged &&
      ep_board_flash_read(ep_board_map()->journal_address, &byte, sizeof byte) == EP_ERR_OPTION_BYTES) {
    journal->damaged = EP_ERR_OPTION_BYTES;
  }
}

void ep_hotswap_boot(ep_hotswap_t *engine, ep_agents_t *agents, ep_hotswap_event_fn event,
                     void *event_context) {
  ep_journal_t *journal = &engine->journal;
  ep_journal_entry_t *state = &journal->kept[EP_KEPT_STATE];
  edgeplug_Manifest manifest;
  ep_boot_decision_t decision;
  ep_boot_facts_t facts;
  memset(engine, 0, sizeof *engine);
  memset(&facts, 0, sizeof facts);
  engine->agents = agents;
  engine->event = event;
  engine->event_context = event_context;
  engine->active = EP_HOTSWAP_NONE;
  ep_journal_mount(journal);
  ep_start_explain(journal);
  for (uint32_t slot = 0; slot < 2u; slot++) ep_start_inspect(engine, slot, &facts.slots[slot]);
  facts.cause = ep_board_reset_cause();
  facts.resets = (uint8_t)state->u.state.resets;
  facts.resets_swap = state->swap_number;
  ep_boot_choose(&facts, &decision);

  for (uint32_t slot = 0; slot < 2u; slot++) {
    uint32_t reason = decision.reject[slot];
    if (reason == 0u && ep_start_is_rotten(&facts, &decision, slot)) reason = edgeplug_Reason_REASON_ROTTEN;
    if (EP_DEFECT(REJECTED_NOT_FIRST) && facts.cause == EP_RESET_WATCHDOG) reason = 0;
    if (reason == 0u) continue;
    (void)ep_engine_load(engine, slot, &manifest);
    ep_engine_reject(engine, slot, (edgeplug_Reason)reason);
    ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, (edgeplug_Reason)reason, EP_OK);
  }
  state->u.state.resets = decision.resets;
  state->u.state.boot_number++;
  state->swap_number = decision.resets_swap;
  state->slot = decision.trial != EP_BOOT_NONE ? decision.trial : decision.run;
  state->extra = (uint8_t)facts.cause;
  if (decision.kept) {
    journal->kept[EP_KEPT_REJECTED].reason = edgeplug_Reason_REASON_RESETS;
    journal->kept[EP_KEPT_REJECTED].swap_number = decision.resets_swap;
  }
  /* On record before anything runs: an agent that takes the CPU down as it starts is counted too. */
  (void)ep_journal_save(journal, EP_KEPT_STATE, EP_JOURNAL_BOOT);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_BOOT, edgeplug_Reason_REASON_NONE, journal->damaged);

  if (decision.run != EP_BOOT_NONE &&
      ep_engine_start(engine, decision.run, edgeplug_Reason_REASON_NONE) != EP_OK) {
    (void)ep_engine_start(engine, decision.run ^ 1u, edgeplug_Reason_REASON_NONE);
  }
  if (decision.trial == EP_BOOT_NONE) return;
  engine->target = decision.trial;
  if (ep_engine_load(engine, decision.trial, &manifest) == edgeplug_SlotState_SLOT_STATE_TRIAL) {
    (void)ep_engine_attempt(engine, &manifest, true);
    if (EP_DEFECT(CONFIRM_AT_BOOT)) engine->rules.healthy_scans = 0;
    if (EP_DEFECT(TRIAL_COUNTED_BY_RESETS))
      engine->rules.healthy_scans >>= facts.slots[decision.trial].attempts;
  }
}
