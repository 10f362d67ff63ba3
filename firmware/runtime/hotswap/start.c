/* Boot: from what lies in flash to a running agent. */
#include <string.h>

#include "boot.h"
#include "core/board.h"
#include "engine.h"
#include "errors.h"

/* Settles one slot's marks and tells the boot choice what is there. */
static void ep_start_inspect(ep_hotswap_t *engine, uint32_t slot, ep_boot_slot_t *found) {
  ep_journal_t *journal = &engine->journal;
  edgeplug_Manifest manifest;
  ep_record_t record;
  ep_record_settle(journal, slot, engine->header, &record);
  if (!record.intact || ep_record_manifest(engine->header, &manifest) != EP_OK) return;
  found->intact = true;
  found->swap_number = record.swap_number;
  found->confirmed = (record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u;
  found->rejected = (record.marks.set & EP_MARK_BIT(EP_MARK_REJECTED)) != 0u;
  found->attempts = (uint8_t)__builtin_popcount(record.marks.set & EP_MARK_TRIALS);
  found->allowed = (uint8_t)ep_engine_attempts(&manifest);
  if (found->confirmed && manifest.security_version > journal->security_version) {
    journal->security_version = manifest.security_version;
  }
  /* A slot that can't run anyway isn't worth the time of a hash. */
  if (!found->rejected && (found->confirmed || found->attempts > 0u)) {
    found->payload = ep_record_check_payload(slot, &manifest) == EP_OK;
  }
}

static void ep_start_reject(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason reason) {
  ep_record_t record;
  ep_record_read(&engine->journal, slot, engine->header, &record);
  ep_engine_reject(engine, slot, reason);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, record.swap_number, reason, EP_OK);
}

/* A slot that would run but for its payload: another one takes its place, for good. Left alone if there is no other:
 * the next reading may be better. */
static bool ep_start_is_rotten(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision,
                               uint32_t slot) {
  const ep_boot_slot_t *found = &facts->slots[slot];
  if (!found->intact || found->payload || found->rejected || decision->reject[slot] != 0u) return false;
  if (!found->confirmed) return found->attempts > 0u;
  return decision->run == (slot ^ 1u) && found->swap_number >= facts->slots[decision->run].swap_number;
}

void ep_hotswap_boot(ep_hotswap_t *engine, ep_agents_t *agents, ep_hotswap_event_fn event,
                     void *event_context) {
  ep_journal_t *journal = &engine->journal;
  edgeplug_Manifest manifest;
  ep_boot_decision_t decision;
  ep_boot_facts_t facts;
  ep_record_t record;
  memset(engine, 0, sizeof *engine);
  memset(&facts, 0, sizeof facts);
  engine->agents = agents;
  engine->event = event;
  engine->event_context = event_context;
  engine->active = EP_HOTSWAP_NONE;
  ep_journal_mount(journal);
  for (uint32_t slot = 0; slot < 2u; slot++) ep_start_inspect(engine, slot, &facts.slots[slot]);
  facts.cause = ep_board_reset_cause();
  facts.resets = journal->resets;
  facts.resets_swap = journal->resets_swap;
  ep_boot_choose(&facts, &decision);

  for (uint32_t slot = 0; slot < 2u; slot++) {
    if (ep_start_is_rotten(&facts, &decision, slot)) decision.reject[slot] = edgeplug_Reason_REASON_ROTTEN;
    if (decision.reject[slot] != 0u) ep_start_reject(engine, slot, (edgeplug_Reason)decision.reject[slot]);
  }
  journal->resets = decision.resets;
  journal->resets_swap = decision.resets_swap;
  journal->boot_number++;
  if (decision.kept) {
    journal->last_reason = edgeplug_Reason_REASON_RESETS;
    journal->last_swap = decision.resets_swap;
  }
  /* On record before anything runs: an agent that takes the CPU down as it starts is counted too. */
  (void)ep_journal_state(journal, EP_JOURNAL_BOOT,
                         decision.trial != EP_BOOT_NONE ? decision.trial : decision.run, decision.resets_swap,
                         (uint32_t)facts.cause);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_BOOT, 0, edgeplug_Reason_REASON_NONE,
                  journal->damaged ? EP_ERR_JOURNAL : EP_OK);

  if (decision.run != EP_BOOT_NONE &&
      ep_engine_start(engine, decision.run, edgeplug_Reason_REASON_NONE) != EP_OK) {
    facts.slots[decision.run].payload = false;
    if (facts.slots[decision.run ^ 1u].payload && facts.slots[decision.run ^ 1u].confirmed) {
      (void)ep_engine_start(engine, decision.run ^ 1u, edgeplug_Reason_REASON_NONE);
    }
  }
  if (decision.trial == EP_BOOT_NONE) return;
  engine->target = decision.trial;
  ep_record_read(journal, decision.trial, engine->header, &record);
  if (record.intact && ep_record_manifest(engine->header, &manifest) == EP_OK) {
    (void)ep_engine_attempt(engine, &manifest, true);
  }
}
