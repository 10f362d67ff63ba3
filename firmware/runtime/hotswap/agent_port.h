/* All that the hot-swap engine knows of agents. The core implements it; tests implement it with fakes that
 * do what a scenario needs. Two *banks* in RAM hold an agent each (code copy and instance): the active one,
 * and the candidate or, during a trial, the agent that would be fallen back to.
 *
 * The scan interrupt never calls the hot-swap engine. It switches banks when ep_agent_activate() asked
 * for it, and back again by itself when the candidate fails during its trial; the engine learns that from
 * ep_agent_trial() in the main loop and then does the flash work.
 */
#ifndef EP_HOTSWAP_AGENT_PORT_H
#define EP_HOTSWAP_AGENT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "device.pb.h"
#include "package.pb.h"

typedef struct ep_agents ep_agents_t; /* defined by whoever implements this header */

/* Loads the payload in slot `slot` into the candidate bank: copies it from flash, checks CRC-32 and
 * SHA-512 of the copy, validates and instantiates it, runs start function and init; with `run_vectors`
 * also the test vectors, in an instance that is made anew afterwards. Never touches an output.
 * EP_OK or the error to report; on error the candidate bank is empty. Runs as long as it takes and
 * reports by ep_board_work(). */
int ep_agent_prepare(ep_agents_t *agents, uint32_t slot, const edgeplug_Manifest *manifest,
                     uint32_t swap_number, bool run_vectors); /* keeps no pointer to `manifest` */

/* Makes the prepared candidate the active agent between two scans (request agents: two requests), with
 * state hand-over if both state ids are equal and not 0, and begins to watch its health by the
 * manifest's trial rules. With `trial` false (boot of a confirmed agent) nothing is watched and nothing handed over.
 * EP_OK once the switch has happened, or EP_ERR_HANDOVER if the old agent goes on. */
int ep_agent_activate(ep_agents_t *agents, bool trial);

/* How the running trial stands, read atomically. healthy_scans counts for every active agent, in a trial or not. */
typedef struct {
  bool failed;            /* the old agent runs again, or nothing does, since `scan` */
  uint32_t reason;        /* edgeplug_Reason, when failed */
  uint64_t scan;          /* when it failed */
  uint32_t healthy_scans; /* scans without fault since the activation (request agents: also scans) */
  uint32_t elapsed_scans; /* all scans since the activation */
  uint32_t requests;      /* requests served without fault since the activation */
} ep_agent_trial_t;
void ep_agent_trial(const ep_agents_t *agents, ep_agent_trial_t *trial);

/* Runs the prepared candidate beside the active agent, as `wanted` (valid) says, until the report says that it is over, or a
 * function of this header is called that touches the candidate. Begins with the state of the active agent if both state ids
 * are equal and not 0. Main loop: returns once it has begun, after a scan or two.
 * EP_OK; EP_ERR_NO_SHADOW_PARTNER if no agent of that kind is active; EP_ERR_HANDOVER; EP_ERR_FUEL if beside the active
 * agent's scans there was no time to take its state over. */
int ep_agent_shadow(ep_agents_t *agents, const edgeplug_Shadow *wanted);

/* The shadow run that is under way, or the last one: of what has not ended only `state` holds still, unless the scan is
 * masked. */
const edgeplug_ShadowReport *ep_agent_shadow_report(const ep_agents_t *agents);

/* The trial ended well: the candidate stays, the other bank is freed. */
void ep_agent_commit(ep_agents_t *agents);

/* The trial ended otherwise (deadline, abort, rollback): back to the other bank between two scans, or, if that one
 * is empty, to fail-safe outputs. The candidate bank is freed. Also drops a candidate that never ran. */
void ep_agent_revert(ep_agents_t *agents);

/* Stops the active agent and goes to fail-safe outputs (no slot is left to run). */
void ep_agent_stop(ep_agents_t *agents);

#endif
