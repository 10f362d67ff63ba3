/* The shadow run: a candidate beside the active agent, on the same inputs or requests, its outputs compared and not
 * applied. The active agent always comes first, and nothing of the candidate reaches it, an output or a counter.
 *
 * Between control agents all of it happens in the scan, which has time for both: what Begin admits is the fuel of the two
 * together. The candidate is one scan behind, with that scan's inputs, time and number, and is compared with what the
 * machine got then, in the scans that its own divider lets it run in. For before the first one it takes the state over in two scans, as one would not have time for it: in the
 * first the active agent saves, with the fuel that its own scan left of both agents', in the second the candidate restores.
 * Between request agents the main loop does all that, between two requests.
 *
 * agents.c starts a run and ends it before anybody touches the candidate's bank; see hotswap/agent_port.h.
 */
#ifndef EP_CORE_SHADOW_H
#define EP_CORE_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/agents.h"

/* The candidate's part of a scan, once the active agent's outputs are with the machine. `ran`: the active agent did not
 * trap; `missed`: scans before this one were. [scan] */
void ep_shadow_scan(ep_agents_t *agents, bool ran, bool missed);

/* A step towards the beginning: `bank` takes over state, if it may, and the present outputs; then it is the shadow's. If it
 * fails the run ends; if `fuel` is too little to save, the step is to be made again. Between control agents [scan], and not
 * `sliced`; between request agents main loop only. */
void ep_shadow_begin(ep_agents_t *agents, ep_bank_t *bank, uint32_t fuel, bool sliced);

/* Ends the run, if there is one. To be called in the scan, or with the scan masked. [scan] */
void ep_shadow_end(ep_agents_t *agents, edgeplug_ShadowState state, edgeplug_Reason reason);

/* Lets the candidate answer what the active agent has answered, once that reply is on its way. Main loop only. */
void ep_shadow_poll(ep_agents_t *agents);

#endif
