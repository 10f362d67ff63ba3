/* What one board offers to one agent. One place; Hello tells these to the host. */
#ifndef EP_CORE_LIMITS_H
#define EP_CORE_LIMITS_H

#define EP_RUNTIME_VERSION  "0.1.0"
#define EP_PROTOCOL_VERSION 1u
#define EP_ABI              1u

#define EP_MAX_MEMORY      16384u /* linear memory, bytes */
#define EP_MAX_STACK_SLOTS 1024u  /* 8 bytes each */
#define EP_MAX_CALL_DEPTH  64u
#define EP_MAX_IO_BUFFER   512u
#define EP_MAX_STATE       512u      /* bytes handed over between agents */
#define EP_MAX_FUEL        20000000u /* of any single call in the main loop */
#define EP_LOG_FUEL        43u       /* what log() takes besides its call */
#define EP_ARENA_SIZE      49152u    /* one of two: memory, globals, table, side table, stack, frames */

#endif
