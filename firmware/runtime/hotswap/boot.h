/* Which slot runs: a pure function of what was found in flash and why the board started. It reads nothing, writes
 * nothing and keeps nothing; start.c does what it decides.
 *
 * In this order:
 *   1. A reset by watchdog or fault during a trial: that slot is rejected.
 *   2. A bootable slot in its trial with attempts left runs as another attempt. With none left it is rejected.
 *      In its trial is only what is newer than the agent of rule 3: an older one that lost its CONFIRMED is left alone.
 *   3. The bootable confirmed slot with the higher swap number runs; a tie goes to A. It is also what a trial falls
 *      back to.
 *   4. Nothing: safe mode.
 * A confirmed agent that the watchdog has reset three times is rejected if the other slot can run; if not, it is
 * kept and nothing runs until the next power-on.
 */
#ifndef EP_HOTSWAP_BOOT_H
#define EP_HOTSWAP_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/board.h"
#include "device.pb.h"

#define EP_BOOT_NONE   2u /* no slot */
#define EP_BOOT_RESETS 3u /* so many resets are too many */

typedef struct {
  bool intact;  /* the record's CRC holds; if not, nothing else here means anything */
  bool payload; /* the payload's SHA-512 holds */
  bool confirmed;
  bool rejected;
  uint8_t attempts; /* TRIAL marks used, torn ones included */
  uint8_t allowed;  /* attempts that the manifest allows, 1..3 */
  uint32_t swap_number;
} ep_boot_slot_t;

typedef struct {
  ep_boot_slot_t slots[2];
  ep_reset_cause_t cause;
  uint32_t resets_swap; /* the confirmed agent that the count is about */
  uint8_t resets;
} ep_boot_facts_t;

typedef struct {
  uint8_t reject[2]; /* edgeplug_Reason to reject the slot for, 0 = leave it */
  uint8_t trial;     /* slot to start as another attempt, or EP_BOOT_NONE */
  uint8_t run;       /* confirmed slot to start (before the trial: its fallback), or EP_BOOT_NONE */
  uint8_t resets;    /* the count from now on */
  uint32_t resets_swap;
  bool kept; /* nothing runs because of three resets, though a confirmed agent is there */
} ep_boot_decision_t;

void ep_boot_choose(const ep_boot_facts_t *facts, ep_boot_decision_t *decision);

#endif
