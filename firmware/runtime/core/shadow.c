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
  bank->channels = &agents->image;
  bank->log = agents->events;
  if (state == edgeplug_ShadowState_SHADOW_STATE_REJECTED) {
    memcpy(agents->message, bank->message, sizeof agents->message);
  }
  shadow->bank = NULL;
  shadow->waits = false;
  shadow->report.state = state;
  shadow->report.reason = reason;
}

static void ep_shadow_reject(ep_agents_t *agents, edgeplug_Reason reason) {
  ep_shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_REJECTED, reason);
}

int ep_shadow_begin(ep_agents_t *agents, ep_bank_t *bank, int32_t fuel, bool sliced) {
  ep_shadow_t *shadow = &agents->shadow;
  ep_bank_t *active = agents->active;
  int error = EP_OK;
  if (ep_scan_hands_over(active, bank)) {
    /* It goes on afterwards, so its buffer gets back what was in it. It lies in memory: that was made sure of. */
    uint8_t *buffer = ep_wasm_memory(&active->instance, active->io_buffer, active->io_size);
    ep_wasm_result_t result;
    uint32_t size;
    memcpy(shadow->reply, buffer, active->io_size);
    result = ep_scan_hand_over(active, bank, fuel, sliced, &size);
    memcpy(buffer, shadow->reply, active->io_size);
    if (result == EP_WASM_TRAP_FUEL && !sliced) return EP_ERR_FUEL;
    if (result != EP_WASM_OK) error = EP_ERR_HANDOVER;
  }
  shadow->image = agents->image;
  memcpy(shadow->image.wanted, agents->outputs, sizeof agents->outputs);
  memcpy(shadow->outputs, agents->outputs, sizeof agents->outputs);
  shadow->starting = NULL;
  shadow->bank = bank;
  if (error != EP_OK) ep_shadow_reject(agents, edgeplug_Reason_REASON_HANDOVER);
  return error;
}

/* ---- comparing -------------------------------------------------------------------------------- */

/* Notes a difference; NULL if there is room for no more. */
static edgeplug_ShadowDifference *ep_shadow_note(ep_agents_t *agents, uint32_t channel) {
  edgeplug_ShadowReport *report = &agents->shadow.report;
  edgeplug_ShadowDifference *difference = &report->first[report->first_count];
  if (report->first_count == EP_DIFFERENCES) return NULL;
  report->first_count++;
  difference->scan = agents->scan;
  difference->number = report->compared;
  difference->channel = channel;
  return difference;
}

/* Written so that a NaN on either side is a difference. */
static bool ep_shadow_compare_channel(ep_agents_t *agents, uint32_t channel) {
  ep_shadow_t *shadow = &agents->shadow;
  edgeplug_ShadowChannel *said = &shadow->report.channels[channel];
  float active = agents->outputs[channel], candidate = shadow->outputs[channel];
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
static void ep_shadow_excerpt(void *excerpt, const uint8_t *reply, uint32_t size, uint32_t from) {
  edgeplug_ShadowDifference_active_reply_t *shown = excerpt;
  size -= from;
  if (size > EP_EXCERPT) size = EP_EXCERPT;
  shown->size = (pb_size_t)size;
  memcpy(shown->bytes, reply + from, size);
}

_Static_assert(sizeof(edgeplug_ShadowDifference_active_reply_t) ==
                   sizeof(edgeplug_ShadowDifference_candidate_reply_t),
               "both excerpts are alike");

static bool ep_shadow_compare_replies(ep_agents_t *agents) {
  ep_shadow_t *shadow = &agents->shadow;
  edgeplug_ShadowDifference *difference;
  uint32_t at = 0;
  while (at < shadow->reply_size && at < shadow->request_size && shadow->reply[at] == shadow->request[at])
    at++;
  if (shadow->reply_size == shadow->request_size && at == shadow->reply_size) return false;
  difference = ep_shadow_note(agents, at);
  if (difference != NULL) {
    ep_shadow_excerpt(&difference->active_reply, shadow->reply, shadow->reply_size, at);
    ep_shadow_excerpt(&difference->candidate_reply, shadow->request, shadow->request_size, at);
  }
  return true;
}

/* Compares what both made of this scan or request, and ends the run if that decides it. */
static void ep_shadow_compare(ep_agents_t *agents) {
  edgeplug_ShadowReport *report = &agents->shadow.report;
  bool differs = false;
  report->compared++;
  if (report->channels_count == 0u) differs = ep_shadow_compare_replies(agents);
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

void ep_shadow_scan(ep_agents_t *agents, bool ran, uint64_t missed) {
  ep_shadow_t *shadow = &agents->shadow;
  ep_bank_t *bank = shadow->bank;
  edgeplug_Reason reason;
  if (shadow->starting != NULL) {
    /* What Begin has admitted for a scan of both, less what this one has taken. An agent that did not run in this one still
     * shows what its last took. */
    (void)ep_shadow_begin(
        agents, shadow->starting,
        (int32_t)shadow->starting->manifest.limits.fuel + ep_wasm_fuel(&agents->active->instance), false);
    return;
  }
  if (bank == NULL) return;
  memcpy(&shadow->image, &agents->image, offsetof(ep_channels_t, wanted));
  if (missed > 0u) {
    ep_shadow_reject(agents, edgeplug_Reason_REASON_DEADLINE);
  } else if (shadow->report.channels_count > 0u) {
    reason = ep_scan_agent(agents, bank, shadow->outputs);
    if (reason != edgeplug_Reason_REASON_NONE) {
      ep_shadow_reject(agents, reason);
    } else if (ran) {
      ep_shadow_compare(agents);
    }
  }
}

void ep_shadow_poll(ep_agents_t *agents) {
  ep_shadow_t *shadow = &agents->shadow;
  ep_bank_t *bank = shadow->bank;
  uint32_t state;
  int error;
  if (!shadow->waits || bank == NULL) return;
  shadow->waits = false;
  error = ep_agents_handle(bank, shadow->request, shadow->request, &shadow->request_size);
  state = ep_board_scan_mask();
  /* A scan may have been missed meanwhile, and that has ended it. */
  if (shadow->bank != NULL) {
    if (error == EP_ERR_AGENT_TRAP || error == EP_ERR_AGENT_FUEL) {
      edgeplug_Reason reason =
          error == EP_ERR_AGENT_FUEL ? edgeplug_Reason_REASON_FUEL : edgeplug_Reason_REASON_TRAP;
      ep_scan_event(agents, edgeplug_EventKind_EVENT_KIND_TRAP, bank, reason,
                    ep_wasm_last_error(&bank->instance)->offset);
      ep_shadow_reject(agents, reason);
    } else {
      if (error != EP_OK) shadow->request_size = 0;
      ep_shadow_compare(agents);
    }
  }
  ep_board_scan_unmask(state);
}
