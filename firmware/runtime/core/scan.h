/* The scan cycle: latch inputs, run the active agent, guard its outputs, apply them together, run a shadow candidate.
 * Runs in the timer interrupt, so everything it reaches lies in SRAM. */
#ifndef EP_CORE_SCAN_H
#define EP_CORE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/agents.h"

/* The board's own count of time against scans; the difference was missed. */
typedef struct {
  bool started;
  uint64_t first_us; /* time of the tick before the first scan */
  uint64_t ticks_elapsed;
  uint64_t scans_run;
} ep_scan_clock_t;

void ep_scan_clock_init(ep_scan_clock_t *clock);

/* One scan. */
void ep_scan_run(ep_agents_t *agents, ep_scan_clock_t *clock);

/* Whether its divider lets `bank` run in the scan that its channels are of. [scan] */
bool ep_scan_is_due(const ep_bank_t *bank);

/* Runs `bank` once, if this is a scan that it asks for, and takes `outputs`, which it had last, to what it wants within
 * its guards. The active agent counts for the board; one on trial, or in the shadow, is not healthy with too many guard hits.
 * Returns the reason why it isn't healthy, with the outputs as they were, or REASON_NONE. */
edgeplug_Reason ep_scan_agent(ep_agents_t *agents, ep_bank_t *bank, float outputs[EP_BOARD_MAX_OUTPUTS]);

bool ep_scan_hands_over(const ep_bank_t *from, const ep_bank_t *to);

/* Lets `from` save into its buffer, within its own fuel and within `fuel`, and copies that, `size` bytes, into `to`'s. */
ep_wasm_result_t ep_scan_save(ep_bank_t *from, ep_bank_t *to, uint32_t fuel, bool sliced, uint32_t *size);

/* Lets `bank` restore `size` bytes from its buffer. `sliced` as ep_wasm_set_sliced(). */
ep_wasm_result_t ep_scan_restore(ep_bank_t *bank, uint32_t size, bool sliced);

/* Puts an event about `bank`, in this scan; of a trap with its text. */
void ep_scan_event(ep_agents_t *agents, edgeplug_EventKind kind, const ep_bank_t *bank,
                   edgeplug_Reason reason, uint32_t detail);

#endif
