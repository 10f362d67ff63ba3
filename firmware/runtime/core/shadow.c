#include "core/shadow.h"

#include <stddef.h>
#include <string.h>

#include "core/scan.h"
#include "errors.h"

#define EP_DIFFERENCES (sizeof((edgeplug_ShadowReport *)NULL)->first / sizeof(edgeplug_ShadowDifference))
#define EP_EXCERPT     (sizeof((edgeplug_ShadowDifference *)NULL)->active_reply.bytes)

void ep_shadow_end(ep_agents_t *agents, edgeplug_ShadowState state, edgeplug_Reason reason) {
  ep_shadow_t *shadow = &agents->shadow;
  ep_bank_t *bank = shadow->bank;
  if (bank == NULL) return;
  if (state == edgeplug_ShadowState_SHADOW_STATE_REJECTED) {
    memcpy(agents->message, bank->message, sizeof agents->message);
  }
  shadow->bank = NULL;
  shadow->report.state = state;
  shadow->report.reason = reason;
}

static void ep_shadow_reject(ep_agents_t *agents, edgeplug_Reason reason) {
  ep_shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_REJECTED, reason);
}

/* The active agent goes on afterwards, so it gets back what saving may change: its buffer, which lies in memory, as was made
 * sure of, and its globals, of which 64 are looked after. */
static ep_wasm_result_t ep_shadow_save(ep_agents_t *agents, ep_bank_t *bank, uint32_t fuel, bool sliced) {
  ep_shadow_t *shadow = &agents->shadow;
  ep_bank_t *active = agents->active;
  uint8_t *buffer = ep_wasm_memory(&active->instance, active->io_buffer, active->io_size);
  uint32_t size;
  void *globals = ep_wasm_globals(&active->instance, &size);
  ep_event_queue_t *log = active->log;
  ep_wasm_result_t result;
  if (size > sizeof shadow->reply) size = sizeof shadow->reply;
  memcpy(shadow->request, buffer, active->io_size);
  memcpy(shadow->reply, globals, size);
  active->log = NULL;
  result = ep_scan_save(active, bank, fuel, sliced, &shadow->reply_size);
  active->log = log;
  memcpy(buffer, shadow->request, active->io_size);
  memcpy(globals, shadow->reply, size);
  return result;
}

void ep_shadow_begin(ep_agents_t *agents, ep_bank_t *bank, uint32_t fuel, bool sliced) {
  ep_shadow_t *shadow = &agents->shadow;
  bool hands_over = ep_scan_hands_over(agents->active, bank);
  ep_wasm_result_t result = EP_WASM_OK;
  if (!shadow->saved) {
    if (hands_over) result = ep_shadow_save(agents, bank, fuel, sliced);
    if (result == EP_WASM_TRAP_FUEL && fuel < agents->active->manifest.limits.fuel) return;
    shadow->image = agents->image;
    memcpy(shadow->image.wanted, agents->outputs, sizeof agents->outputs);
    memcpy(shadow->outputs, agents->outputs, sizeof agents->outputs);
    shadow->saved = true;
    if (result == EP_WASM_OK) return;
  } else if (hands_over) {
    result = ep_scan_restore(bank, shadow->reply_size, sliced);
  }
  shadow->starting = NULL;
  shadow->bank = bank;
  if (result != EP_WASM_OK) ep_shadow_reject(agents, edgeplug_Reason_REASON_HANDOVER);
}

/* ---- comparing -------------------------------------------------------------------------------- */

/* Notes a difference; NULL if there is room for no more. */
__attribute__((noinline)) static edgeplug_ShadowDifference *ep_shadow_note(ep_agents_t *agents,
                                                                           uint32_t channel) {
  edgeplug_ShadowReport *report = &agents->shadow.report;
  edgeplug_ShadowDifference *difference = &report->first[report->first_count];
  if (report->first_count == EP_DIFFERENCES) return NULL;
  report->first_count++;
  difference->scan = agents->shadow.image.scan;
  difference->number = report->compared;
  difference->channel = channel;
  return difference;
}

/* Written so that a NaN on either side is a difference. */
static bool ep_shadow_compare_channel(ep_agents_t *agents, uint32_t channel) {
  ep_shadow_t *shadow = &agents->shadow;
  edgeplug_ShadowChannel *said = &shadow->report.channels[channel];
  float active = shadow->applied[channel], candidate = shadow->outputs[channel];
  float distance = active > candidate ? active - candidate : candidate - active;
  edgeplug_ShadowDifference *difference;
  if (active == candidate) return false;
  if (distance > said->largest) said->largest = distance;
  if (distance <= shadow->tolerance[channel]) return false;
  said->differing++;
  difference = ep_shadow_note(agents, channel);
  if (difference != NULL) {
    difference->active = active;
    difference->candidate = candidate;
  }
  return true;
}

/* What a difference shows of a reply: what begins at `from`. */
__attribute__((noinline)) static void ep_shadow_excerpt(void *excerpt, const uint8_t *reply, uint32_t size,
                                                        uint32_t from) {
  edgeplug_ShadowDifference_active_reply_t *shown = excerpt;
  size -= from;
  if (size > EP_EXCERPT) size = EP_EXCERPT;
  shown->size = (pb_size_t)size;
  memcpy(shown->bytes, reply + from, size);
}

_Static_assert(sizeof(edgeplug_ShadowDifference_active_reply_t) ==
                   sizeof(edgeplug_ShadowDifference_candidate_reply_t),
               "both excerpts are alike");

/* `answered`: the candidate has, if only with nothing. */
static bool ep_shadow_compare_replies(ep_agents_t *agents, bool answered) {
  ep_shadow_t *shadow = &agents->shadow;
  edgeplug_ShadowDifference *difference;
  uint32_t at = 0;
  while (at < shadow->reply_size && at < shadow->request_size && shadow->reply[at] == shadow->request[at])
    at++;
  if (answered && shadow->reply_size == shadow->request_size && at == shadow->reply_size) return false;
  difference = ep_shadow_note(agents, at);
  if (difference != NULL) {
    ep_shadow_excerpt(&difference->active_reply, shadow->reply, shadow->reply_size, at);
    ep_shadow_excerpt(&difference->candidate_reply, shadow->request, shadow->request_size, at);
  }
  return true;
}

/* Compares what both made of this scan or request, and ends the run if that decides it. */
static void ep_shadow_compare(ep_agents_t *agents, bool answered) {
  edgeplug_ShadowReport *report = &agents->shadow.report;
  bool differs = false;
  report->compared++;
  if (report->channels_count == 0u) differs = ep_shadow_compare_replies(agents, answered);
  for (uint32_t channel = 0; channel < report->channels_count; channel++) {
    differs |= ep_shadow_compare_channel(agents, channel);
  }
  if (differs) report->differing++;
  if (report->differing > report->allowed
          ? report->first_count == EP_DIFFERENCES || report->compared == report->needed
          : report->compared == report->needed) {
    bool agreed = report->differing <= report->allowed;
    ep_shadow_end(agents,
                  agreed ? edgeplug_ShadowState_SHADOW_STATE_AGREED
                         : edgeplug_ShadowState_SHADOW_STATE_REJECTED,
                  agreed ? edgeplug_Reason_REASON_NONE : edgeplug_Reason_REASON_SHADOW);
  }
}

/* ---- where it runs ---------------------------------------------------------------------------- */

/* The candidate's scan, which is the one before the present one. */
static void ep_shadow_run(ep_agents_t *agents) {
  ep_shadow_t *shadow = &agents->shadow;
  edgeplug_Reason reason;
  if (!ep_scan_is_due(shadow->bank)) return;
  reason = ep_scan_agent(agents, shadow->bank, shadow->outputs);
  if (reason != edgeplug_Reason_REASON_NONE) {
    ep_shadow_reject(agents, reason);
  } else if (shadow->ran) {
    ep_shadow_compare(agents, true);
  }
}

void ep_shadow_scan(ep_agents_t *agents, bool ran, bool missed) {
  ep_shadow_t *shadow = &agents->shadow;
  if (shadow->starting != NULL) {
    /* What Begin has admitted for a scan of both, less what this one has taken. An agent that did not run in this one still
     * shows what its last took. */
    ep_shadow_begin(
        agents, shadow->starting,
        shadow->starting->manifest.limits.fuel + (uint32_t)ep_wasm_fuel(&agents->active->instance), false);
  } else if (shadow->bank == NULL) {
    return;
  } else if (missed) {
    ep_shadow_reject(agents, edgeplug_Reason_REASON_DEADLINE);
  } else if (shadow->report.channels_count > 0u) {
    ep_shadow_run(agents);
  }
  memcpy(&shadow->image, &agents->image, offsetof(ep_channels_t, wanted));
  memcpy(shadow->applied, agents->outputs, sizeof agents->outputs);
  shadow->ran = ran;
}

void ep_shadow_poll(ep_agents_t *agents) {
  ep_shadow_t *shadow = &agents->shadow;
  ep_bank_t *bank = shadow->bank;
  uint32_t state;
  int error;
  /* The scan may have ended the run since the request came. */
  if (!shadow->waits || bank == NULL) return;
  shadow->waits = false;
  error = ep_agents_handle(bank, shadow->request, shadow->request, &shadow->request_size);
  state = ep_board_scan_mask();
  /* Or meanwhile. */
  if (shadow->bank != NULL) {
    if (error == EP_OK || error == EP_ERR_REQUEST_SIZE) {
      if (error != EP_OK) shadow->request_size = 0;
      ep_shadow_compare(agents, error == EP_OK);
    } else {
      edgeplug_Reason reason =
          error == EP_ERR_AGENT_FUEL ? edgeplug_Reason_REASON_FUEL : edgeplug_Reason_REASON_TRAP;
      if (error != EP_ERR_REPLY) {
        ep_scan_event(agents, edgeplug_EventKind_EVENT_KIND_TRAP, bank, reason,
                      ep_wasm_last_error(&bank->instance)->offset);
      }
      ep_shadow_reject(agents, reason);
    }
  }
  ep_board_scan_unmask(state);
}
