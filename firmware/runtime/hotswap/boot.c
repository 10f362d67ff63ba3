#include "boot.h"

#include <string.h>

#include "defects.h"

static bool ep_boot_in_trial(const ep_boot_slot_t *slot) {
  return slot->intact && slot->attempts > 0u && !slot->confirmed && !slot->rejected;
}

static bool ep_boot_can_run(const ep_boot_slot_t *slot) {
  return slot->intact && slot->payload && slot->confirmed && !slot->rejected;
}

void ep_boot_choose(const ep_boot_facts_t *facts, ep_boot_decision_t *decision) {
  const ep_boot_slot_t *slots = facts->slots;
  bool lost = facts->cause == EP_RESET_WATCHDOG || facts->cause == EP_RESET_FAULT;
  bool in_trial = false;
  uint32_t newest = 0, tried = 0; /* swap numbers of `run` and `trial`; they count from 1 */
  memset(decision, 0, sizeof *decision);
  decision->trial = EP_BOOT_NONE;
  decision->run = EP_BOOT_NONE;
  decision->resets = facts->resets;
  decision->resets_swap = facts->resets_swap;

  for (uint32_t slot = 0; slot < 2u; slot++) {
    if (ep_boot_can_run(&slots[slot]) &&
        (decision->run == EP_BOOT_NONE || slots[slot].swap_number + EP_DEFECT(B_WINS_A_TIE) > newest)) {
      decision->run = (uint8_t)slot;
      newest = slots[slot].swap_number;
    }
  }
  for (uint32_t slot = 0; slot < 2u; slot++) {
    /* One that is older has been confirmed before, and lost the mark. */
    if (!ep_boot_in_trial(&slots[slot]) || slots[slot].swap_number < newest) continue;
    in_trial = true;
    if (lost) {
      decision->reject[slot] =
          facts->cause == EP_RESET_WATCHDOG ? edgeplug_Reason_REASON_WATCHDOG : edgeplug_Reason_REASON_FAULT;
    } else if (slots[slot].attempts >= slots[slot].allowed) {
      decision->reject[slot] = edgeplug_Reason_REASON_ATTEMPTS;
    } else if (slots[slot].payload && slots[slot].swap_number > tried) {
      decision->trial = (uint8_t)slot;
      tried = slots[slot].swap_number;
    }
  }

  if (decision->run == EP_BOOT_NONE) return;
  if (decision->resets_swap != newest) {
    decision->resets_swap = newest;
    decision->resets = 0;
  }
  if (decision->resets >= EP_BOOT_RESETS) {
    /* Kept in safe mode for one power cycle, which ends here or goes on. */
    if (facts->cause == EP_RESET_POWER_ON) decision->resets = 0;
  } else if (lost && !in_trial) {
    decision->resets++;
  }
  if (decision->resets < EP_BOOT_RESETS || EP_DEFECT(THREE_RESETS_NEVER_REJECT)) return;
  if (ep_boot_can_run(&slots[decision->run ^ 1u])) {
    decision->reject[decision->run] = edgeplug_Reason_REASON_RESETS;
    decision->run ^= 1u;
    decision->resets_swap = slots[decision->run].swap_number;
    decision->resets = 0;
  } else {
    decision->run = EP_BOOT_NONE;
    decision->kept = true;
  }
}
