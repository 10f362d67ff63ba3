/* The shadow run: a candidate beside the active agent, on the same inputs or requests, its outputs compared and not
 * applied. The active agent always comes first, and nothing of the candidate reaches it, an output or a counter.
 *
 * Between control agents all of it happens in the scan, which has time for both: what Begin admits is the fuel of the two
 * together. Taking the state over, in the scan before the first that is compared, makes do with what the active agent's scan
 * left of that. Between request agents the main loop does it, between two requests.
 *
 * agents.c starts a run and ends it before anybody touches the candidate's bank; see hotswap/agent_port.h.
 */
#ifndef EP_CORE_SHADOW_H
#define EP_CORE_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/agents.h"

/* The candidate's part of a scan, once the active agent's outputs are with the machine. `ran`: the active agent did not
 * trap; `missed`: scans that this one comes late by. [scan] */
void ep_shadow_scan(ep_agents_t *agents, bool ran, uint64_t missed);

/* `bank` takes over state, if it may, and is the shadow's from now on, with the present outputs. EP_OK, EP_ERR_HANDOVER if
 * that failed, which ends the run, or EP_ERR_FUEL if `fuel` was too little for it. Between control agents [scan], and not
 * `sliced`; between request agents main loop only. */
int ep_shadow_begin(ep_agents_t *agents, ep_bank_t *bank, int32_t fuel, bool sliced);

/* Ends the run, if there is one. The scan is masked, or this is it. [scan] */
void ep_shadow_end(ep_agents_t *agents, edgeplug_ShadowState state, edgeplug_Reason reason);

/* Lets the candidate answer what the active agent has answered, once that reply is on its way. Main loop only. */
void ep_shadow_poll(ep_agents_t *agents);

#endif
