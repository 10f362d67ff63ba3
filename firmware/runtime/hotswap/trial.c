/* From the activation to the end of the trial, and the other ways from one agent to another. */
#include <string.h>

#include "core/board.h"
#include "defects.h"
#include "engine.h"
#include "errors.h"

#define EP_PREPARE_TRIES 3u
#define EP_SCRUB_US      10000000u

/* So many healthy scans forgive a confirmed agent its watchdog resets. */
#define EP_HEALTHY_SCANS 1000u

/* Reasons that say the package itself is at fault. */
#define EP_SPENDING                                                                                          \
  (1u << edgeplug_Reason_REASON_TRAP | 1u << edgeplug_Reason_REASON_FUEL |                                   \
   1u << edgeplug_Reason_REASON_GUARD | 1u << edgeplug_Reason_REASON_DEADLINE |                              \
   1u << edgeplug_Reason_REASON_WATCHDOG | 1u << edgeplug_Reason_REASON_FAULT |                              \
   1u << edgeplug_Reason_REASON_VECTORS | 1u << edgeplug_Reason_REASON_HANDOVER |                            \
   (uint32_t)!EP_DEFECT(SHADOW_RUN_SPENDS_NOTHING) << edgeplug_Reason_REASON_SHADOW |                        \
   (uint32_t)EP_DEFECT(USED_UP_ATTEMPTS_SPEND) << edgeplug_Reason_REASON_ATTEMPTS)

void ep_engine_event(ep_hotswap_t *engine, edgeplug_EventKind kind, edgeplug_Reason reason, int error) {
  engine->event(engine->event_context, kind, engine->record.header.swap_number,
                (edgeplug_UpdatePhase)engine->phase, reason, error, 0);
}

int ep_engine_note(ep_hotswap_t *engine, ep_journal_kind_t kind) {
  return ep_journal_note(&engine->journal, kind, engine->target, 0, engine->record.header.swap_number);
}

void ep_engine_phase(ep_hotswap_t *engine, edgeplug_UpdatePhase phase) {
  engine->phase = (uint8_t)phase;
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_PHASE, edgeplug_Reason_REASON_NONE, EP_OK);
}

void ep_engine_end(ep_hotswap_t *engine, int error) {
  engine->last_error = error;
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
}

int ep_engine_drop(ep_hotswap_t *engine, int error) {
  ep_agent_revert(engine->agents);
  ep_engine_end(engine, error);
  return error;
}

void ep_engine_reject(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason reason) {
  ep_journal_entry_t entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = EP_JOURNAL_REJECTED;
  entry.slot = (uint8_t)slot;
  entry.reason = (uint8_t)reason;
  entry.extra = EP_SPENDING >> reason & 1u;
  entry.swap_number = engine->record.header.swap_number;
  ep_record_digest(&engine->record, entry.u.data);
  if (EP_DEFECT(REJECTED_BEFORE_SPENT)) {
    (void)ep_marks_set(&engine->journal, slot, entry.swap_number, EP_MARK_REJECTED, reason);
  }
  /* Journal first: after a cut between the two, boot completes the mark and the package is spent for sure. */
  (void)ep_journal_write(&engine->journal, &entry);
  (void)ep_marks_set(&engine->journal, slot, entry.swap_number, EP_MARK_REJECTED, reason);
}

edgeplug_Reason ep_engine_reason(int error) {
  if (error == EP_ERR_VECTOR || error == EP_ERR_AGENT_TRAP || error == EP_ERR_AGENT_FUEL) {
    return edgeplug_Reason_REASON_VECTORS;
  }
  return error == EP_ERR_HANDOVER ? edgeplug_Reason_REASON_HANDOVER : edgeplug_Reason_REASON_INVALID;
}

uint32_t ep_engine_load(ep_hotswap_t *engine, uint32_t slot, edgeplug_Manifest *manifest) {
  ep_record_read(&engine->journal, slot, &engine->record);
  if (!ep_record_intact(&engine->record) || ep_record_manifest(&engine->record, manifest) != EP_OK) {
    return edgeplug_SlotState_SLOT_STATE_EMPTY;
  }
  return engine->record.state;
}

int ep_engine_prepare(ep_hotswap_t *engine, uint32_t slot, const edgeplug_Manifest *manifest,
                      bool run_vectors) {
  int error = EP_ERR_ECC;
  /* A failed reading of flash says nothing against the agent. */
  for (uint32_t tries = 0; tries < EP_PREPARE_TRIES && error == EP_ERR_ECC; tries++) {
    error = ep_agent_prepare(engine->agents, slot, manifest, engine->record.header.swap_number, run_vectors);
  }
  return error;
}

/* The agent in `slot`, whose record is in engine->record, is the one that runs from now on. */
static void ep_trial_settle(ep_hotswap_t *engine, uint32_t slot, const edgeplug_Manifest *manifest) {
  engine->active = (uint8_t)slot;
  engine->active_swap = engine->record.header.swap_number;
  engine->active_fuel = manifest->kind == edgeplug_AgentKind_AGENT_KIND_CONTROL ? manifest->limits.fuel : 0u;
}

int ep_engine_start(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason leave) {
  edgeplug_Manifest manifest;
  int error = EP_ERR_NO_FALLBACK;
  if (ep_engine_load(engine, slot, &manifest) == edgeplug_SlotState_SLOT_STATE_CONFIRMED) {
    error = ep_engine_prepare(engine, slot, &manifest, false);
  }
  if (error != EP_OK) return error;
  if (leave != edgeplug_Reason_REASON_NONE && !EP_DEFECT(ROLLBACK_WITHOUT_A_MARK)) {
    /* What is left may have rotted: its number is the one that it was started with. */
    ep_record_read(&engine->journal, engine->active, &engine->record);
    engine->record.header.swap_number = engine->active_swap;
    if (!ep_record_intact(&engine->record)) engine->record.header.manifest_length = 0;
    ep_engine_reject(engine, engine->active, leave);
    ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, leave, EP_OK);
    ep_record_read(&engine->journal, slot, &engine->record);
  }
  error = ep_agent_activate(engine->agents, false);
  if (error != EP_OK) return error;
  ep_agent_commit(engine->agents);
  ep_trial_settle(engine, slot, &manifest);
  return EP_OK;
}

void ep_engine_fail(ep_hotswap_t *engine, edgeplug_EventKind kind, edgeplug_Reason reason, int error) {
  ep_agent_revert(engine->agents);
  ep_engine_reject(engine, engine->target, reason);
  ep_engine_event(engine, kind, reason, error);
  ep_engine_end(engine, error);
}

static void ep_trial_roll_back(ep_hotswap_t *engine, edgeplug_Reason reason) {
  ep_engine_fail(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, reason, EP_ERR_ROLLED_BACK);
}

int ep_engine_attempt(ep_hotswap_t *engine, const edgeplug_Manifest *manifest, bool prepare) {
  uint32_t mark = EP_MARK_TRIAL;
  int error = EP_ERR_FLASH;
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_ACTIVATING);
  while ((engine->record.marks.touched >> mark & 1u) != 0u) mark++;
  if (EP_DEFECT(ACTIVATION_BEFORE_THE_MARK) && !prepare) (void)ep_agent_activate(engine->agents, true);
  /* The attempt is on record before any of the candidate's code runs on its own. */
  if (mark < EP_MARK_CONFIRMED) {
    error = ep_marks_set(&engine->journal, engine->target, engine->record.header.swap_number, mark, 0);
  }
  if (error == EP_OK && prepare) error = ep_engine_prepare(engine, engine->target, manifest, false);
  if (error == EP_OK && (prepare || !EP_DEFECT(ACTIVATION_BEFORE_THE_MARK))) {
    error = ep_agent_activate(engine->agents, true);
  }
  if (error != EP_OK) {
    ep_engine_fail(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, ep_engine_reason(error), error);
    return error;
  }
  engine->rules = manifest->trial;
  (void)ep_engine_note(engine, EP_JOURNAL_TRIAL);
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL);
  return EP_OK;
}

int ep_engine_activate(ep_hotswap_t *engine) {
  edgeplug_Manifest manifest;
  /* A host that missed the reply asks again. */
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) return EP_OK;
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW) return EP_ERR_BUSY;
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_STAGED) return EP_ERR_NO_SESSION;
  /* A record or mark that has rotted since: nothing runs by rules that can't be read again. */
  if (ep_engine_load(engine, engine->target, &manifest) != edgeplug_SlotState_SLOT_STATE_STAGED) {
    return ep_engine_drop(engine, EP_ERR_READ_BACK);
  }
  return ep_engine_attempt(engine, &manifest, false);
}

static void ep_trial_confirm(ep_hotswap_t *engine) {
  ep_journal_t *journal = &engine->journal;
  uint32_t *floor = &journal->kept[EP_KEPT_STATE].u.state.security_version;
  edgeplug_Manifest manifest;
  ep_agent_trial_t trial;
  int error = ep_marks_set(journal, engine->target, engine->record.header.swap_number, EP_MARK_CONFIRMED, 0);
  if (error == EP_OK) ep_agent_commit(engine->agents);
  /* It may have failed while the mark was being programmed; REJECTED outweighs CONFIRMED. */
  ep_agent_trial(engine->agents, &trial);
  if (error != EP_OK || trial.failed) {
    ep_trial_roll_back(engine,
                       trial.failed ? (edgeplug_Reason)trial.reason : edgeplug_Reason_REASON_UNCONFIRMED);
    return;
  }
  (void)ep_engine_note(engine, EP_JOURNAL_CONFIRMED);
  (void)ep_record_manifest(&engine->record, &manifest);
  if (manifest.security_version > *floor) {
    *floor = manifest.security_version;
    (void)ep_journal_save(journal, EP_KEPT_STATE, EP_JOURNAL_STATE);
  }
  ep_trial_settle(engine, engine->target, &manifest);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_CONFIRMED, edgeplug_Reason_REASON_NONE, EP_OK);
  ep_engine_end(engine, EP_OK);
}

void ep_engine_poll_trial(ep_hotswap_t *engine) {
  const edgeplug_TrialRules *rules = &engine->rules;
  ep_agent_trial_t trial;
  ep_agent_trial(engine->agents, &trial);
  if (trial.failed) {
    ep_trial_roll_back(engine, (edgeplug_Reason)trial.reason);
  } else if (trial.healthy_scans >= rules->healthy_scans && trial.requests >= rules->min_requests &&
             !rules->confirm_by_host) {
    ep_trial_confirm(engine);
  } else if (trial.elapsed_scans >= rules->deadline_scans) {
    ep_trial_roll_back(engine, edgeplug_Reason_REASON_UNCONFIRMED);
  }
}

int ep_engine_confirm(ep_hotswap_t *engine) {
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) return EP_ERR_NOT_IN_TRIAL;
  engine->rules.confirm_by_host = false;
  return EP_OK;
}

int ep_engine_rollback(ep_hotswap_t *engine, bool allow_downgrade) {
  edgeplug_Manifest manifest;
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    ep_trial_roll_back(engine, edgeplug_Reason_REASON_OPERATOR);
    return EP_OK;
  }
  /* While a package is being received or waits, the other slot is the one it lies in. */
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_IDLE || engine->active == EP_HOTSWAP_NONE ||
      ep_engine_load(engine, engine->active ^ 1u, &manifest) != edgeplug_SlotState_SLOT_STATE_CONFIRMED) {
    return EP_ERR_NO_FALLBACK;
  }
  if (manifest.security_version < engine->journal.kept[EP_KEPT_STATE].u.state.security_version &&
      !allow_downgrade) {
    return EP_ERR_DOWNGRADE;
  }
  return ep_engine_start(engine, engine->active ^ 1u, edgeplug_Reason_REASON_OPERATOR);
}

int ep_engine_abort(ep_hotswap_t *engine) {
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_IDLE) return EP_ERR_NO_SESSION;
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    ep_trial_roll_back(engine, edgeplug_Reason_REASON_ABORTED);
    return EP_OK;
  }
  (void)ep_engine_drop(engine, EP_ERR_ABORTED);
  return EP_OK;
}

/* Law 7: looks at one slot at rest now and then. A rotten active agent gives way to the other one if that is good;
 * if not it goes on from its copy in RAM. */
static void ep_trial_scrub(ep_hotswap_t *engine) {
  uint32_t slot = engine->scrub, state;
  edgeplug_Manifest manifest;
  engine->scrub ^= 1u;
  state = ep_engine_load(engine, slot, &manifest);
  if (state == edgeplug_SlotState_SLOT_STATE_CONFIRMED ? ep_record_check_payload(slot, &manifest) == EP_OK
                                                       : slot != engine->active) {
    return;
  }
  if ((engine->rotten >> slot & 1u) != 0u) return;
  engine->rotten |= (uint8_t)(1u << slot);
  engine->target = (uint8_t)slot;
  (void)ep_engine_note(engine, EP_JOURNAL_DAMAGE);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_HEALTH, edgeplug_Reason_REASON_ROTTEN,
                  EP_ERR_PAYLOAD_DIGEST);
  if (slot == engine->active) (void)ep_engine_start(engine, slot ^ 1u, edgeplug_Reason_REASON_ROTTEN);
}

void ep_engine_poll_idle(ep_hotswap_t *engine) {
  uint32_t *resets = &engine->journal.kept[EP_KEPT_STATE].u.state.resets;
  uint64_t now = ep_board_time_us();
  ep_agent_trial_t trial;
  if (engine->active == EP_HOTSWAP_NONE) return;
  ep_agent_trial(engine->agents, &trial);
  if (*resets != 0u && trial.healthy_scans >= EP_HEALTHY_SCANS) {
    *resets = 0;
    (void)ep_journal_save(&engine->journal, EP_KEPT_STATE, EP_JOURNAL_STATE);
  }
  if (now - engine->touched_us < EP_SCRUB_US) return;
  engine->touched_us = now;
  ep_trial_scrub(engine);
}
