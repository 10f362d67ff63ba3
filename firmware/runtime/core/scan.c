#include "core/scan.h"

#include <string.h>

#include "core/guards.h"
#include "core/shadow.h"
#include "errors.h"

void ep_scan_clock_init(ep_scan_clock_t *clock) {
  memset(clock, 0, sizeof *clock);
}

/* Counts this scan and the ticks that passed without one; returns whether there are any. The timer runs on
 * whether interrupts are served or not, so a lost one shows at the next. A tick is due when its time has come by
 * more than half: an interrupt served late is no lost one. */
static bool ep_scan_count(ep_scan_clock_t *clock, uint64_t now_us, uint32_t tick_us) {
  uint64_t due, elapsed = clock->ticks_elapsed + 1u;
  bool missed;
  if (!clock->started) {
    clock->started = true;
    clock->first_us = now_us - tick_us;
  }
  due = (now_us - clock->first_us + tick_us / 2u) / tick_us;
  missed = due > elapsed;
  clock->ticks_elapsed = missed ? due : elapsed;
  clock->scans_run++;
  return missed;
}

static float ep_scan_fail_safe(const edgeplug_Guards *guards, uint32_t channel) {
  if (guards != NULL && channel < guards->fail_safe_count) return guards->fail_safe[channel];
  return ep_board_map()->fail_safe[channel];
}

/* Outputs from `first` on go to their fail-safe values. */
static void ep_scan_set_fail_safe(float *outputs, const edgeplug_Guards *guards, uint32_t first) {
  for (uint32_t channel = first; channel < ep_board_map()->outputs; channel++) {
    outputs[channel] = ep_scan_fail_safe(guards, channel);
  }
}

ep_wasm_result_t ep_scan_save(ep_bank_t *from, ep_bank_t *to, uint32_t fuel, bool sliced, uint32_t *size) {
  uint32_t own = from->manifest.limits.fuel;
  uint64_t value = 0;
  const uint8_t *source;
  uint8_t *target;
  ep_channels_t *channels = from->channels, aside = *channels;
  ep_wasm_result_t result;
  /* Saving is no scan: what it writes to an output goes nowhere. */
  from->channels = &aside;
  result = ep_agents_invoke(from, from->save, &value, own < fuel ? own : fuel, sliced);
  from->channels = channels;
  if (result != EP_WASM_OK) return result;
  *size = (uint32_t)value;
  if (*size > EP_MAX_STATE || *size > from->io_size || *size > to->io_size) return EP_WASM_LIMIT;
  source = ep_wasm_memory(&from->instance, from->io_buffer, *size);
  target = ep_wasm_memory(&to->instance, to->io_buffer, *size);
  if (source == NULL || target == NULL) return EP_WASM_TRAP_MEMORY;
  memcpy(target, source, *size);
  return EP_WASM_OK;
}

ep_wasm_result_t ep_scan_restore(ep_bank_t *bank, uint32_t size, bool sliced) {
  uint64_t value = size;
  return ep_agents_invoke(bank, bank->restore, &value, bank->manifest.limits.fuel, sliced);
}

bool ep_scan_hands_over(const ep_bank_t *from, const ep_bank_t *to) {
  return from != NULL && to->manifest.state_id != 0u && from->manifest.state_id == to->manifest.state_id &&
         from->save >= 0 && to->restore >= 0;
}

void ep_scan_event(ep_agents_t *agents, edgeplug_EventKind kind, const ep_bank_t *bank,
                   edgeplug_Reason reason, uint32_t detail) {
  edgeplug_Event *event = ep_events_put(agents->events, kind, bank->channels->scan, bank->swap_number);
  event->reason = reason;
  event->detail = detail;
  if (kind == edgeplug_EventKind_EVENT_KIND_TRAP) memcpy(event->text, bank->message, sizeof bank->message);
}

/* Makes the pending bank the active one, between the scan before and this one. */
static void ep_scan_switch(ep_agents_t *agents) {
  ep_bank_t *from = agents->active, *to = agents->pending;
  uint32_t handed_over = 0;
  agents->pending_result = EP_OK;
  if (agents->pending_trial && ep_scan_hands_over(from, to)) {
    ep_wasm_result_t result = ep_scan_save(from, to, UINT32_MAX, false, &handed_over);
    if (result == EP_WASM_OK) result = ep_scan_restore(to, handed_over, false);
    if (result != EP_WASM_OK) {
      agents->pending_result = EP_ERR_HANDOVER;
      agents->pending = NULL;
      return;
    }
  }
  /* Bumpless: an output that the new agent doesn't write keeps the value that the machine has. */
  memcpy(agents->image.wanted, agents->outputs, sizeof agents->image.wanted);
  memset(&agents->trial, 0, sizeof agents->trial);
  to->guard_hits = 0;
  agents->trial_first_request = agents->counters.requests;
  agents->in_trial = agents->pending_trial;
  agents->fallback = from;
  agents->active = to;
  agents->pending = NULL;
  agents->counters.swaps++;
  ep_scan_event(agents, edgeplug_EventKind_EVENT_KIND_ACTIVATED, to, edgeplug_Reason_REASON_NONE,
                handed_over);
}

void ep_agents_fail_trial(ep_agents_t *agents, edgeplug_Reason reason) {
  ep_bank_t *failed = agents->active;
  agents->trial.failed = true;
  agents->trial.reason = (uint32_t)reason;
  agents->trial.scan = agents->image.scan;
  agents->in_trial = false;
  agents->active = agents->fallback;
  agents->fallback = NULL;
  agents->counters.rollbacks++;
  memcpy(agents->message, failed->message, sizeof agents->message);
  agents->rollback_told = true;
  ep_scan_event(agents, edgeplug_EventKind_EVENT_KIND_ROLLED_BACK, failed, reason, 0);
}

bool ep_scan_is_due(const ep_bank_t *bank) {
  return bank->manifest.scan_divider <= 1u || bank->channels->scan % bank->manifest.scan_divider == 0u;
}

edgeplug_Reason ep_scan_agent(ep_agents_t *agents, ep_bank_t *bank, float outputs[EP_BOARD_MAX_OUTPUTS]) {
  const edgeplug_Manifest *manifest = &bank->manifest;
  bool active = bank == agents->active;
  float guarded[EP_BOARD_MAX_OUTPUTS];
  uint64_t none = 0;
  uint32_t hits;
  ep_wasm_result_t result;
  if (!ep_scan_is_due(bank)) return edgeplug_Reason_REASON_NONE;
  result = ep_agents_invoke(bank, bank->scan, &none, manifest->limits.fuel, false);
  if (result != EP_WASM_OK) {
    if (active) agents->counters.traps++;
    ep_scan_event(agents, edgeplug_EventKind_EVENT_KIND_TRAP, bank, ep_agents_reason(result),
                  ep_wasm_last_error(&bank->instance)->offset);
    return ep_agents_reason(result);
  }
  memcpy(guarded, outputs, sizeof guarded);
  hits = ep_guards_apply(&manifest->guards, bank->channels->wanted, guarded, manifest->outputs);
  if (active) agents->counters.guard_hits += hits;
  bank->guard_hits += hits;
  if ((agents->in_trial || !active) && bank->guard_hits > manifest->trial.max_guard_hits) {
    bank->message[0] = '\0';
    return edgeplug_Reason_REASON_GUARD;
  }
  memcpy(outputs, guarded, sizeof guarded);
  ep_scan_set_fail_safe(outputs, NULL, manifest->outputs);
  return edgeplug_Reason_REASON_NONE;
}

/* One scan of whoever is active; false if it ended in a trap that nobody took over from. A candidate that fails in
 * its trial is replaced within the same scan. */
static bool ep_scan_active(ep_agents_t *agents) {
  ep_bank_t *bank = agents->active;
  edgeplug_Reason reason;
  while (bank != NULL && bank->manifest.kind == edgeplug_AgentKind_AGENT_KIND_CONTROL) {
    reason = ep_scan_agent(agents, bank, agents->outputs);
    if (reason == edgeplug_Reason_REASON_NONE) return true;
    if (!agents->in_trial) {
      if (bank->manifest.on_trap == edgeplug_TrapPolicy_TRAP_POLICY_FAIL_SAFE) {
        ep_scan_set_fail_safe(agents->outputs, &bank->manifest.guards, 0);
      }
      memcpy(agents->message, bank->message, sizeof agents->message);
      return false;
    }
    ep_agents_fail_trial(agents, reason);
    bank = agents->active;
    /* The agent that comes back goes on from the outputs that the machine has. */
    memcpy(agents->image.wanted, agents->outputs, sizeof agents->image.wanted);
  }
  ep_scan_set_fail_safe(agents->outputs, bank != NULL ? &bank->manifest.guards : NULL, 0);
  return bank != NULL;
}

void ep_scan_run(ep_agents_t *agents, ep_scan_clock_t *clock) {
  const ep_board_map_t *map = ep_board_map();
  uint64_t now_us = ep_board_time_us();
  bool missed = ep_scan_count(clock, now_us, map->tick_us);
  bool ran;
  agents->image.time_us = now_us;
  agents->image.scan = clock->ticks_elapsed;
  ep_board_inputs_read(agents->image.inputs, map->inputs);
  if (agents->pending != NULL) {
    ep_scan_switch(agents);
  } else if (agents->in_trial && missed) {
    agents->active->message[0] = '\0';
    ep_agents_fail_trial(agents, edgeplug_Reason_REASON_DEADLINE);
  }
  /* Counted in a trial or not: healthy scans also forgive a confirmed agent its watchdog resets. */
  ran = ep_scan_active(agents);
  if (ran) agents->trial.healthy_scans++;
  agents->trial.elapsed_scans++;
  ep_board_outputs_write(agents->outputs, map->outputs, agents->image.scan,
                         agents->active != NULL ? agents->active->swap_number : 0u);
  ep_shadow_scan(agents, ran, missed);
}
