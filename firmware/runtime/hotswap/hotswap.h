/* The hot-swap engine: slots, marks, journal and the life of an update, all in one context that the caller owns.
 * Requests that change its state go through authority.h, which says who may. Called from the main loop only. It knows flash through board.h and agents through agent_port.h; what
 * happened goes out through a callback that queues.
 *
 * Every function returns EP_OK or an EP_ERR_ code of errors.h.
 */
#ifndef EP_HOTSWAP_HOTSWAP_H
#define EP_HOTSWAP_HOTSWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent_port.h"
#include "authority.h"
#include "device.pb.h"
#include "journal.h"
#include "record.h"

/* What happened, for the host. Must only queue. */
typedef void (*ep_hotswap_event_fn)(void *context, edgeplug_EventKind kind, uint32_t swap_number,
                                    edgeplug_UpdatePhase phase, edgeplug_Reason reason, int error,
                                    uint32_t detail);

typedef struct ep_hotswap ep_hotswap_t; /* laid out at the end of this header */

/* Mounts the journal, completes half-written marks, chooses the slot to run and starts it (or safe mode).
 * A damaged flash is no failure: it is reported by status and event. */
void ep_hotswap_boot(ep_hotswap_t *engine, ep_agents_t *agents, ep_hotswap_event_fn event,
                     void *event_context);

/* One bounded step of whatever is under way (a page erase, a verification, the end of a trial, the 30 s
 * staging watchdog, the scrub). Call it in every turn of the main loop. */
void ep_hotswap_poll(ep_hotswap_t *engine);

/* Opens a staging session or resumes one. Signature first, then format and limits, then the record page
 * is erased and written. `reply` gets the offset to send from. */
int ep_hotswap_begin(ep_hotswap_t *engine, const edgeplug_Begin *begin, edgeplug_BeginReply *reply);

/* Takes payload bytes at `offset`. Bytes before the expected offset are skipped, a gap is dropped:
 * `next_offset` always says what is expected next. The last byte starts verification (in poll). */
int ep_hotswap_chunk(ep_hotswap_t *engine, uint32_t offset, const uint8_t *data, uint32_t size,
                     uint32_t *next_offset);

/* Any valid frame of the session feeds the staging watchdog. */
void ep_hotswap_touch(ep_hotswap_t *engine);

/* Fill the engine's part of a reply. */
void ep_hotswap_status(const ep_hotswap_t *engine, edgeplug_Status *status);
edgeplug_UpdatePhase ep_hotswap_phase(const ep_hotswap_t *engine);
void ep_hotswap_shadow_report(const ep_hotswap_t *engine, edgeplug_ShadowReport *report);
int ep_hotswap_slot_info(const ep_hotswap_t *engine, uint32_t slot, edgeplug_SlotInfo *info);
void ep_hotswap_spent(const ep_hotswap_t *engine, edgeplug_SpentList *list);
void ep_hotswap_keys(const ep_hotswap_t *engine, edgeplug_KeyList *list);
void ep_hotswap_history(const ep_hotswap_t *engine, uint32_t before, edgeplug_History *history);

/* Reads raw bytes of a slot (payload and record), offset + size <= 14 KiB. */
int ep_hotswap_read_slot(const ep_hotswap_t *engine, uint32_t slot, uint32_t offset, uint8_t *data,
                         uint32_t size);

/* Locked, or damaged and therefore counting as locked. */
bool ep_hotswap_locked(const ep_hotswap_t *engine);

/* Counts boots over the life of the board. */
uint32_t ep_hotswap_boot_number(const ep_hotswap_t *engine);

#define EP_HOTSWAP_NONE  2u  /* no slot */
#define EP_HOTSWAP_BLOCK 64u /* payload is programmed by so many bytes; divides every page */

/* All state of one engine, for the engine alone; 1 KiB at most, the receive buffer (header) included. What is small stands
 * first: short offsets are short instructions. */
struct ep_hotswap {
  uint8_t phase;   /* edgeplug_UpdatePhase */
  uint8_t active;  /* slot, or EP_HOTSWAP_NONE; during a trial: the fallback */
  uint8_t target;  /* slot of the session or trial */
  uint8_t scrub;   /* slot to check next */
  uint8_t rotten;  /* bit per slot: told the host already */
  uint8_t retries; /* pages that had to be written again in this session */
  bool page_open;  /* the page of next_offset has been erased */
  ep_agents_t *agents;
  ep_hotswap_event_fn event;
  void *event_context;
  uint32_t active_swap; /* of the agent that runs, or would come back after the trial */
  uint32_t active_fuel; /* a scan, 0 if it takes none */
  uint32_t next_offset; /* bytes received */
  int last_error;       /* why the last staging or trial ended */
  uint64_t touched_us;  /* last frame of the session; while idle: last check of a slot at rest */
  ep_journal_t journal;
  ep_authority_t authority;
  edgeplug_TrialRules rules;       /* of the running trial */
  edgeplug_Shadow shadow;          /* as the running shadow run was asked for */
  uint8_t block[EP_HOTSWAP_BLOCK]; /* bytes received that don't fill a block yet */
  ep_record_t record;              /* of the session or trial, as Begin gave it; scratch while idle */
};

#endif
