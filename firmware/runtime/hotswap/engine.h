/* What the parts of the engine share: start.c (boot), update.c (begin to staged), shadow.c (shadow run), trial.c (activation to
 * the end of a trial, rollback), keys.c (keys, lock), authority.c (who may do that), status.c (replies). Nobody else includes this.
 */
#ifndef EP_HOTSWAP_ENGINE_H
#define EP_HOTSWAP_ENGINE_H

#include "hotswap.h"

/* Both are about the record in engine->record. */
void ep_engine_event(ep_hotswap_t *engine, edgeplug_EventKind kind, edgeplug_Reason reason, int error);
int ep_engine_note(ep_hotswap_t *engine, ep_journal_kind_t kind);

void ep_engine_phase(ep_hotswap_t *engine, edgeplug_UpdatePhase phase);

/* Ends session or trial: phase idle. `error` is EP_OK or why. */
void ep_engine_end(ep_hotswap_t *engine, int error);

/* Ends a staging that is not the package's fault; what was received stays for a resume. Returns `error`. */
int ep_engine_drop(ep_hotswap_t *engine, int error);

/* Rejects `slot`, whose record is in engine->record: journal first (spent, if the reason spends), then the mark. */
void ep_engine_reject(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason reason);

/* Reads the record of `slot` into engine->record and decodes its manifest; returns its state, EMPTY if there is none
 * that can be used. */
uint32_t ep_engine_load(ep_hotswap_t *engine, uint32_t slot, edgeplug_Manifest *manifest);

/* Loads the candidate from `slot`, whose record is in engine->record. Errors of ep_agent_prepare(). */
int ep_engine_prepare(ep_hotswap_t *engine, uint32_t slot, const edgeplug_Manifest *manifest,
                      bool run_vectors);

/* Starts the confirmed agent in `slot`. With `leave` it takes over from the active one, whose slot is rejected for
 * that reason between preparing and switching. */
int ep_engine_start(ep_hotswap_t *engine, uint32_t slot, edgeplug_Reason leave);

/* Makes one attempt with the target, whose record is in engine->record: programs TRIAL, prepares it (if `prepare`),
 * activates it. A failure rejects. */
int ep_engine_attempt(ep_hotswap_t *engine, const edgeplug_Manifest *manifest, bool prepare);

/* A staging or trial ends badly: back to the other agent, reject the target. */
void ep_engine_fail(ep_hotswap_t *engine, edgeplug_EventKind kind, edgeplug_Reason reason, int error);

/* Which reason an error of preparing or activating an agent stands for. */
edgeplug_Reason ep_engine_reason(int error);

/* Takes note of the end of a shadow run: phase STAGED again, or the target is rejected. */
void ep_engine_poll_shadow(ep_hotswap_t *engine);

void ep_engine_poll_trial(ep_hotswap_t *engine);
void ep_engine_poll_idle(ep_hotswap_t *engine);

/* ---- what authority.c lets through: none of these asks who wants it ------------------------------ */

/* EP_OK also for the request that the present run began with; EP_ERR_BUSY for another one. */
int ep_engine_shadow(ep_hotswap_t *engine, const edgeplug_Shadow *wanted);

int ep_engine_activate(ep_hotswap_t *engine);
int ep_engine_confirm(ep_hotswap_t *engine);
int ep_engine_rollback(ep_hotswap_t *engine, bool allow_downgrade);

/* Ends a staging (what was received stays for a resume) or a trial (the old agent comes back). */
int ep_engine_abort(ep_hotswap_t *engine);

int ep_engine_clear_spent(ep_hotswap_t *engine, const edgeplug_ClearSpent *clear);

/* EP_OK, also if it is there in that role; EP_ERR_KEY_ROLE if in the other one; EP_ERR_BAD_REQUEST, EP_ERR_KEYS_FULL. */
int ep_engine_add_key(ep_hotswap_t *engine, const edgeplug_AddKey *key);

/* EP_OK, EP_ERR_KEY_UNKNOWN or EP_ERR_LAST_KEY. */
int ep_engine_remove_key(ep_hotswap_t *engine, const edgeplug_RemoveKey *key);

/* Afterwards the old key is gone and the new one has its role, which it may have had before. EP_OK, EP_ERR_KEY_UNKNOWN, or
 * EP_ERR_KEY_ROLE if the new one is there in the other role. */
int ep_engine_replace_key(ep_hotswap_t *engine, const edgeplug_ReplaceKey *key);

/* EP_ERR_LOCKED, or EP_ERR_LOCK_REFUSED unless both roles have a key and each package verifies that is confirmed or on
 * trial. */
int ep_engine_lock(ep_hotswap_t *engine);
int ep_engine_unlock(ep_hotswap_t *engine);

/* ---- keys -------------------------------------------------------------------------------------- */

/* What is signed lies behind whose key it was and the signature: in a record, and in a command. */
#define EP_KEYS_MESSAGE (EP_RECORD_KEY_ID_SIZE + EP_RECORD_SIGNATURE_SIZE)

/* Checks `size` bytes behind key id and signature. EP_OK, EP_ERR_KEY_UNKNOWN, EP_ERR_KEY_ROLE (a key of the other
 * role) or EP_ERR_SIGNATURE. */
int ep_keys_verify(const ep_journal_t *journal, uint32_t role, const uint8_t *key_id, uint32_t size);

#endif
