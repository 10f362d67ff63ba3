/* Boards in every state that a request, a manifest or damage can meet. */
#ifndef EP_FUZZ_STATES_H
#define EP_FUZZ_STATES_H

#include "board.h"

typedef enum {
  STATE_EMPTY,
  STATE_RUNNING,   /* one confirmed agent */
  STATE_UPDATED,   /* two, the older one to fall back to */
  STATE_RECEIVING, /* and a page of the next has come */
  STATE_STAGED,
  STATE_TRIAL,
  STATE_REJECTED, /* a trial has failed, its package is spent */
  STATE_SERVING,  /* a request agent runs */
  STATE_KEYS,     /* open, with keys */
  STATE_LOCKED,
  STATE_WRAPPED, /* the journal has been compacted a few times */
  STATE_DAMAGED, /* no half of the journal is left */
  STATE_SHADOW,  /* the next runs in the shadow of the first */
  STATES
} fuzz_state_t;

/* Makes them all, in both geometries; each by what a host would do. */
void fuzz_states_make(void);

/* Number `which` of all of them, geometries in turn. */
const fuzz_board_t *fuzz_state(uint32_t which);

#endif
