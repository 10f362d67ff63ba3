/* The scan cycle: latch inputs, run the active agent, guard its outputs, apply them together. Runs in the timer
 * interrupt, so everything it reaches lies in SRAM. */
#ifndef EP_CORE_SCAN_H
#define EP_CORE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/agents.h"

/* The board's own count of time against scans. ticks_elapsed = scans_run + scans_missed, always. */
typedef struct {
  bool started;
  uint64_t first_us; /* time of the tick before the first scan */
  uint64_t ticks_elapsed;
  uint64_t scans_run;
  uint64_t scans_missed;
} ep_scan_clock_t;

void ep_scan_clock_init(ep_scan_clock_t *clock);

/* One scan. */
void ep_scan_run(ep_agents_t *agents, ep_scan_clock_t *clock);

#endif
