/* What the parts of the engine share: start.c (boot), update.c (begin to staged), trial.c (activation to the end of a
 * trial, rollback), keys.c (keys, lock), status.c (replies). Nobody else includes this.
 */
#ifndef EP_HOTSWAP_ENGINE_H
#define EP_HOTSWAP_ENGINE_H

#include "hotswap.h"
#include "record.h"

/* Trial rules of a manifest that says nothing. */
#define EP_TRIAL_HEALTHY  1000u
#define EP_TRIAL_DEADLINE 60000u
#define EP_TRIAL_ATTEMPTS 3u
#define EP_TRIAL_REQUESTS 1u

/* So many healthy scans forgive a confirmed agent its watchdog resets. */
#define EP_HEALTHY_SCANS 1000u

void ep_engine_event(ep_hotswap_t *engine, edgeplug_EventKind kind, uint32_t swap_number,
                     edgeplug_Reason reason, int error);
void ep_engine_phase(ep_hotswap_t *engine, edgeplug_UpdatePhase phase);

/* Swap number in the session's record. */
uint32_t ep_engine_swap(const ep_hotswap_t *engine);

/* Ends session or trial: phase idle. */
void ep_engine_idle(ep_hotswap_t *engine, int error);

/* Rejects `slot`, whose record is in engine->header: journal first (spent, if the reason spends), then the mark. */
void ep_engine_reject(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason reason);

/* Starts the confirmed agent in `slot`, whose record is read into engine->header. With `leave` it takes over from the
 * active one, whose slot is rejected for that reason between preparing and switching. */
int ep_engine_start(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason leave);

/* Makes one attempt with the target: programs TRIAL, prepares it (if `prepare`), activates it. A failure rejects. */
int ep_engine_attempt(ep_hotswap_t *engine, const edgeplug_Manifest *manifest, bool prepare);

/* The trial ends badly: back to the other agent, reject. */
void ep_engine_roll_back(ep_hotswap_t *engine, edgeplug_Reason reason);

/* Loads the candidate from `slot`, record in engine->header. */
int ep_engine_prepare(ep_hotswap_t *engine, uint32_t slot, const edgeplug_Manifest *manifest,
                      bool run_vectors);

/* Attempts that a manifest allows. */
uint32_t ep_engine_attempts(const edgeplug_Manifest *manifest);

/* Which reason an error of preparing an agent stands for. */
edgeplug_Reason ep_engine_reason(int error);

void ep_engine_poll_trial(ep_hotswap_t *engine);
void ep_engine_poll_idle(ep_hotswap_t *engine);

/* EP_OK, EP_ERR_SIGNATURE (bad, or half there) or EP_ERR_KEY_UNKNOWN. */
int ep_keys_verify(const ep_journal_t *journal, const uint8_t header[EP_RECORD_HEADER_SIZE]);

#endif
