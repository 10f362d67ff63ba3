/* From the activation to the end of the trial, and the other ways from one agent to another. */
#include <string.h>

#include "core/board.h"
#include "engine.h"
#include "errors.h"

#define EP_PREPARE_TRIES 3u
#define EP_SCRUB_US      10000000u

/* Reasons that say the package itself is at fault. */
#define EP_SPENDING                                                                                          \
  (1u << edgeplug_Reason_REASON_TRAP | 1u << edgeplug_Reason_REASON_FUEL |                                   \
   1u << edgeplug_Reason_REASON_GUARD | 1u << edgeplug_Reason_REASON_DEADLINE |                              \
   1u << edgeplug_Reason_REASON_WATCHDOG | 1u << edgeplug_Reason_REASON_FAULT |                              \
   1u << edgeplug_Reason_REASON_VECTORS | 1u << edgeplug_Reason_REASON_HANDOVER |                            \
   1u << edgeplug_Reason_REASON_SHADOW)

void ep_engine_event(ep_hotswap_t *engine, edgeplug_EventKind kind, uint32_t swap_number,
                     edgeplug_Reason reason, int error) {
  engine->event(engine->event_context, kind, swap_number, (edgeplug_UpdatePhase)engine->phase, reason, error,
                0);
}

uint32_t ep_engine_swap(const ep_hotswap_t *engine) {
  return ep_record_u32(engine->header + EP_RECORD_SWAP_NUMBER_OFFSET);
}

void ep_engine_phase(ep_hotswap_t *engine, edgeplug_UpdatePhase phase) {
  engine->phase = (uint8_t)phase;
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_PHASE, ep_engine_swap(engine),
                  edgeplug_Reason_REASON_NONE, EP_OK);
}

void ep_engine_reject(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason reason) {
  uint32_t swap_number = ep_engine_swap(engine);
  uint8_t digest[EP_JOURNAL_DIGEST];
  ep_record_digest(engine->header, digest);
  /* Journal first: after a cut between the two, boot completes the mark and the package is spent for sure. */
  (void)ep_journal_append(&engine->journal, EP_JOURNAL_REJECTED, slot, reason, EP_SPENDING >> reason & 1u,
                          swap_number, digest);
  (void)ep_marks_set(&engine->journal, slot, swap_number, EP_MARK_REJECTED, reason);
}

uint32_t ep_engine_attempts(const edgeplug_Manifest *manifest) {
  uint32_t attempts = manifest->trial.attempts;
  return attempts - 1u < EP_TRIAL_ATTEMPTS ? attempts : EP_TRIAL_ATTEMPTS;
}

edgeplug_Reason ep_engine_reason(int error) {
  switch (error) {
  case EP_ERR_VECTOR:
  case EP_ERR_AGENT_TRAP:
  case EP_ERR_AGENT_FUEL: return edgeplug_Reason_REASON_VECTORS;
  case EP_ERR_HANDOVER: return edgeplug_Reason_REASON_HANDOVER;
  default: return edgeplug_Reason_REASON_INVALID;
  }
}

int ep_engine_prepare(ep_hotswap_t *engine, uint32_t slot, const edgeplug_Manifest *manifest,
                      bool run_vectors) {
  int error = EP_ERR_ECC;
  /* A failed reading of flash says nothing against the agent. */
  for (uint32_t tries = 0; tries < EP_PREPARE_TRIES && error == EP_ERR_ECC; tries++) {
    error = ep_agent_prepare(engine->agents, slot, manifest, ep_engine_swap(engine), run_vectors);
  }
  return error;
}

/* The agent in `slot` with this manifest is the one that runs from now on. */
static void ep_engine_is_active(ep_hotswap_t *engine, uint32_t slot, const edgeplug_Manifest *manifest) {
  bool control = manifest->kind == edgeplug_AgentKind_AGENT_KIND_CONTROL;
  engine->active = (uint8_t)slot;
  engine->active_swap = ep_engine_swap(engine);
  engine->active_fuel = control ? manifest->limits.fuel : 0u;
  engine->active_divider = control ? manifest->scan_divider : 0u;
}

int ep_engine_start(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason leave) {
  uint32_t old = engine->active;
  edgeplug_Manifest manifest;
  ep_record_t record;
  int error;
  ep_record_read(&engine->journal, slot, engine->header, &record);
  error = record.intact ? ep_record_manifest(engine->header, &manifest) : EP_ERR_NO_FALLBACK;
  if (error == EP_OK) {
    error = ep_engine_prepare(engine, slot, &manifest, false);
  }
  if (error != EP_OK) return error;
  if (leave != edgeplug_Reason_REASON_NONE) {
    ep_record_read(&engine->journal, old, engine->header, &record);
    ep_record_put_u32(engine->header + EP_RECORD_SWAP_NUMBER_OFFSET, engine->active_swap);
    ep_engine_reject(engine, old, leave);
    ep_record_read(&engine->journal, slot, engine->header, &record);
  }
  error = ep_agent_activate(engine->agents, false);
  if (error != EP_OK) return error;
  ep_agent_commit(engine->agents);
  if (leave != edgeplug_Reason_REASON_NONE) {
    ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, engine->active_swap, leave, EP_OK);
  }
  ep_engine_is_active(engine, slot, &manifest);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ACTIVATED, engine->active_swap,
                  edgeplug_Reason_REASON_NONE, EP_OK);
  return EP_OK;
}

void ep_engine_idle(ep_hotswap_t *engine, int error) {
  engine->last_error = error;
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
}

void ep_engine_roll_back(ep_hotswap_t *engine, edgeplug_Reason reason) {
  ep_agent_revert(engine->agents);
  ep_engine_reject(engine, engine->target, reason);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, ep_engine_swap(engine), reason, EP_OK);
  ep_engine_idle(engine, EP_ERR_ROLLED_BACK);
}

int ep_engine_attempt(ep_hotswap_t *engine, const edgeplug_Manifest *manifest, bool prepare) {
  const edgeplug_TrialRules *rules = &manifest->trial;
  uint32_t swap_number = ep_engine_swap(engine), mark = EP_MARK_TRIAL;
  ep_marks_t marks;
  int error;
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_ACTIVATING);
  ep_marks_read(&engine->journal, engine->target, swap_number, &marks);
  while ((marks.touched & EP_MARK_BIT(mark)) != 0u) mark++;
  /* The attempt is on record before any of the candidate's code runs on its own. */
  error = mark < EP_MARK_CONFIRMED
              ? ep_marks_set(&engine->journal, engine->target, swap_number, (ep_mark_t)mark, 0)
              : EP_ERR_FLASH;
  if (error == EP_OK && prepare) {
    error = ep_engine_prepare(engine, engine->target, manifest, false);
  }
  if (error == EP_OK) error = ep_agent_activate(engine->agents, true);
  if (error != EP_OK) {
    ep_engine_roll_back(engine, ep_engine_reason(error));
    engine->last_error = error;
    return error;
  }
  engine->trial_needed = rules->healthy_scans != 0u ? rules->healthy_scans : EP_TRIAL_HEALTHY;
  engine->trial_deadline = rules->deadline_scans != 0u ? rules->deadline_scans : EP_TRIAL_DEADLINE;
  engine->trial_requests = rules->min_requests != 0u ? rules->min_requests : EP_TRIAL_REQUESTS;
  if (manifest->kind == edgeplug_AgentKind_AGENT_KIND_CONTROL) engine->trial_requests = 0;
  engine->confirm_by_host = rules->confirm_by_host;
  (void)ep_journal_append(&engine->journal, EP_JOURNAL_TRIAL, engine->target, 0, mark, swap_number, NULL);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_ACTIVATED, swap_number, edgeplug_Reason_REASON_NONE,
                  EP_OK);
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL);
  return EP_OK;
}

int ep_hotswap_activate(ep_hotswap_t *engine) {
  edgeplug_Manifest manifest;
  /* A host that missed the reply asks again. */
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) return EP_OK;
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_STAGED) return EP_ERR_NO_SESSION;
  (void)ep_record_manifest(engine->header, &manifest);
  return ep_engine_attempt(engine, &manifest, false);
}

static void ep_trial_confirm(ep_hotswap_t *engine) {
  ep_journal_t *journal = &engine->journal;
  uint32_t swap_number = ep_engine_swap(engine);
  edgeplug_Manifest manifest;
  ep_agent_trial_t trial;
  if (ep_marks_set(journal, engine->target, swap_number, EP_MARK_CONFIRMED, 0) != EP_OK) {
    ep_engine_roll_back(engine, edgeplug_Reason_REASON_UNCONFIRMED);
    return;
  }
  ep_agent_commit(engine->agents);
  /* It may have failed while the mark was being programmed; REJECTED outweighs CONFIRMED. */
  ep_agent_trial(engine->agents, &trial);
  if (trial.failed) {
    ep_engine_roll_back(engine, (edgeplug_Reason)trial.reason);
    return;
  }
  (void)ep_journal_append(journal, EP_JOURNAL_CONFIRMED, engine->target, 0, 0, swap_number, NULL);
  (void)ep_record_manifest(engine->header, &manifest);
  if (manifest.security_version > journal->security_version) {
    journal->security_version = manifest.security_version;
    (void)ep_journal_state(journal, EP_JOURNAL_STATE, 0, 0, 0);
  }
  ep_engine_is_active(engine, engine->target, &manifest);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_CONFIRMED, swap_number, edgeplug_Reason_REASON_NONE,
                  EP_OK);
  ep_engine_idle(engine, EP_OK);
}

void ep_engine_poll_trial(ep_hotswap_t *engine) {
  ep_agent_trial_t trial;
  ep_agent_trial(engine->agents, &trial);
  if (trial.failed) {
    ep_engine_roll_back(engine, (edgeplug_Reason)trial.reason);
  } else if (trial.healthy_scans >= engine->trial_needed && trial.requests >= engine->trial_requests &&
             !engine->confirm_by_host) {
    ep_trial_confirm(engine);
  } else if (trial.elapsed_scans >= engine->trial_deadline) {
    ep_engine_roll_back(engine, edgeplug_Reason_REASON_UNCONFIRMED);
  }
}

int ep_hotswap_confirm(ep_hotswap_t *engine) {
  if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) return EP_ERR_NOT_IN_TRIAL;
  engine->confirm_by_host = false;
  return EP_OK;
}

/* Whether `slot` holds a confirmed agent that could run. */
static bool ep_trial_can_take_over(ep_hotswap_t *engine, uint32_t slot, edgeplug_Manifest *manifest) {
  ep_record_t record;
  ep_record_read(&engine->journal, slot, engine->header, &record);
  return record.intact && (record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u &&
         (record.marks.set & EP_MARK_BIT(EP_MARK_REJECTED)) == 0u &&
         ep_record_manifest(engine->header, manifest) == EP_OK &&
         ep_record_check_payload(slot, manifest) == EP_OK;
}

int ep_hotswap_rollback(ep_hotswap_t *engine, bool allow_downgrade) {
  edgeplug_Manifest manifest;
  if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    ep_engine_roll_back(engine, edgeplug_Reason_REASON_OPERATOR);
    return EP_OK;
  }
  /* While a package is being received or waits, the other slot is the one it lies in. */
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_IDLE || engine->active == EP_HOTSWAP_NONE ||
      !ep_trial_can_take_over(engine, engine->active ^ 1u, &manifest)) {
    return EP_ERR_NO_FALLBACK;
  }
  if (manifest.security_version < engine->journal.security_version && !allow_downgrade)
    return EP_ERR_DOWNGRADE;
  return ep_engine_start(engine, engine->active ^ 1u, edgeplug_Reason_REASON_OPERATOR);
}

int ep_hotswap_abort(ep_hotswap_t *engine) {
  switch (engine->phase) {
  case edgeplug_UpdatePhase_UPDATE_PHASE_IDLE: return EP_ERR_NO_SESSION;
  case edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL:
    if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
    ep_engine_roll_back(engine, edgeplug_Reason_REASON_ABORTED);
    return EP_OK;
  default:
    ep_agent_revert(engine->agents);
    ep_engine_idle(engine, EP_ERR_ABORTED);
    return EP_OK;
  }
}

/* Law 7: looks at one slot at rest now and then. A rotten active agent gives way to the other one if that is good;
 * if not it goes on from its copy in RAM. */
static void ep_trial_scrub(ep_hotswap_t *engine) {
  uint32_t slot = engine->scrub;
  edgeplug_Manifest manifest;
  ep_record_t record;
  engine->scrub ^= 1u;
  if ((engine->rotten >> slot & 1u) != 0u || ep_trial_can_take_over(engine, slot, &manifest)) return;
  ep_record_read(&engine->journal, slot, engine->header, &record);
  if (slot != engine->active &&
      (!record.intact || (record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) == 0u ||
       (record.marks.set & EP_MARK_BIT(EP_MARK_REJECTED)) != 0u)) {
    return;
  }
  engine->rotten |= (uint8_t)(1u << slot);
  (void)ep_journal_append(&engine->journal, EP_JOURNAL_DAMAGE, slot, edgeplug_Reason_REASON_ROTTEN, 0,
                          record.swap_number, NULL);
  ep_engine_event(engine, edgeplug_EventKind_EVENT_KIND_HEALTH, record.swap_number,
                  edgeplug_Reason_REASON_ROTTEN, EP_ERR_PAYLOAD_DIGEST);
  if (slot == engine->active && ep_trial_can_take_over(engine, slot ^ 1u, &manifest)) {
    (void)ep_engine_start(engine, slot ^ 1u, edgeplug_Reason_REASON_ROTTEN);
  }
}

void ep_engine_poll_idle(ep_hotswap_t *engine) {
  ep_journal_t *journal = &engine->journal;
  uint64_t now = ep_board_time_us();
  ep_agent_trial_t trial;
  if (engine->active == EP_HOTSWAP_NONE) return;
  if (journal->resets != 0u) {
    ep_agent_trial(engine->agents, &trial);
    if (trial.healthy_scans >= EP_HEALTHY_SCANS) {
      journal->resets = 0;
      (void)ep_journal_state(journal, EP_JOURNAL_STATE, 0, 0, 0);
    }
  }
  if (now - engine->checked_us >= EP_SCRUB_US) {
    engine->checked_us = now;
    ep_trial_scrub(engine);
  }
}
