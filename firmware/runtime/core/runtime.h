/* The whole runtime of a board: agents, hot-swap engine, link server, scan clock. The functions that a board calls
 * are declared in board.h; this header is for those who want to look inside (tests, benches). */
#ifndef EP_CORE_RUNTIME_H
#define EP_CORE_RUNTIME_H

#include "core/agents.h"
#include "core/scan.h"
#include "hotswap/hotswap.h"
#include "link/server.h"

typedef struct {
  /* The main loop has reported since the watchdog was fed last. The scan feeds it, and only then: so both live. */
  volatile bool loop_alive;
  ep_scan_clock_t clock;
  ep_hotswap_t hotswap;
  ep_event_queue_t events;
  ep_server_t server;
  ep_agents_t agents;
} ep_runtime_t;

/* The one runtime of this image; everything below it takes its context from its caller. */
extern ep_runtime_t ep_runtime;

#endif
