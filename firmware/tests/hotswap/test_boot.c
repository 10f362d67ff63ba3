/* ep_boot_choose() over every combination of what two slots and the journal may say, against the four rules of
 * hotswap.md written down a second time, one by one, and the laws that follow from them. */
#include "check.h"
#include "hotswap/boot.h"

/* header, payload, attempts 0..3 of 2 allowed, confirmed, rejected */
#define SLOTS 64u

static ep_boot_slot_t slot_of(uint32_t code, uint32_t swap_number) {
  return (ep_boot_slot_t){.intact = (code & 1u) != 0u,
                          .payload = (code & 2u) != 0u,
                          .confirmed = (code & 4u) != 0u,
                          .rejected = (code & 8u) != 0u,
                          .attempts = (uint8_t)(code >> 4),
                          .allowed = 2,
                          .swap_number = swap_number};
}

static bool bootable(const ep_boot_slot_t *slot) {
  return slot->intact && slot->payload && !slot->rejected;
}

typedef void (*visit_fn)(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision);

static uint32_t visit_all(visit_fn visit) {
  static const uint32_t numbers[][2] = {{1, 2}, {2, 1}, {5, 5}, {0xFFFFFFFFu, 0xFFFFFFFEu}};
  uint32_t visited = 0;
  for (uint32_t a = 0; a < SLOTS; a++) {
    for (uint32_t b = 0; b < SLOTS; b++) {
      for (uint32_t n = 0; n < 4u; n++) {
        for (uint32_t cause = 0; cause < 4u; cause++) {
          for (uint32_t resets = 0; resets < 8u; resets++) {
            ep_boot_facts_t facts = {.slots = {slot_of(a, numbers[n][0]), slot_of(b, numbers[n][1])},
                                     .cause = (ep_reset_cause_t)cause,
                                     .resets = (uint8_t)(resets & 3u),
                                     .resets_swap = numbers[n][resets >> 2]};
            ep_boot_decision_t decision;
            ep_boot_choose(&facts, &decision);
            visit(&facts, &decision);
            visited++;
          }
        }
      }
    }
  }
  return visited;
}

static bool lost(const ep_boot_facts_t *facts) {
  return facts->cause == EP_RESET_WATCHDOG || facts->cause == EP_RESET_FAULT;
}

/* The confirmed slot that rule 3 names. */
static uint32_t by_rule_3(const ep_boot_facts_t *facts) {
  const ep_boot_slot_t *a = &facts->slots[0], *b = &facts->slots[1];
  bool a_runs = bootable(a) && a->confirmed, b_runs = bootable(b) && b->confirmed;
  if (a_runs && b_runs) return b->swap_number > a->swap_number ? 1u : 0u;
  return a_runs ? 0u : b_runs ? 1u : EP_BOOT_NONE;
}

/* A trial has begun and not ended. One that is older than the agent of rule 3 was confirmed once: it is over. */
static bool trying(const ep_boot_facts_t *facts, uint32_t slot) {
  const ep_boot_slot_t *found = &facts->slots[slot];
  uint32_t best = by_rule_3(facts);
  return found->intact && !found->rejected && !found->confirmed && found->attempts > 0u &&
         (best == EP_BOOT_NONE || facts->slots[best].swap_number <= found->swap_number);
}

static uint32_t resets_now(const ep_boot_facts_t *facts, uint32_t slot) {
  uint32_t count = facts->slots[slot].swap_number == facts->resets_swap ? facts->resets : 0u;
  if (count == 3u) return facts->cause == EP_RESET_POWER_ON ? 0u : 3u;
  return count + (lost(facts) && !trying(facts, 0) && !trying(facts, 1));
}

static void rule_1(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision) {
  for (uint32_t slot = 0; slot < 2u; slot++) {
    if (lost(facts) && trying(facts, slot)) {
      CHECK_EQ(decision->reject[slot], facts->cause == EP_RESET_WATCHDOG ? edgeplug_Reason_REASON_WATCHDOG
                                                                         : edgeplug_Reason_REASON_FAULT);
      CHECK(decision->trial != slot && decision->run != slot);
    }
  }
}

static void rule_2(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision) {
  bool any = false;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    const ep_boot_slot_t *found = &facts->slots[slot];
    if (!trying(facts, slot))
      CHECK(decision->trial != slot && decision->reject[slot] != edgeplug_Reason_REASON_ATTEMPTS);
    if (!trying(facts, slot) || lost(facts)) continue;
    CHECK_EQ(decision->reject[slot], found->attempts >= 2u ? edgeplug_Reason_REASON_ATTEMPTS : 0);
    any = any || (bootable(found) && found->attempts < 2u);
  }
  CHECK_EQ(decision->trial != EP_BOOT_NONE, any);
  if (any) {
    CHECK(bootable(&facts->slots[decision->trial]) && trying(facts, decision->trial));
    CHECK(facts->slots[decision->trial].attempts < 2u);
  }
}

static void rule_3(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision) {
  uint32_t best = by_rule_3(facts);
  if (best != EP_BOOT_NONE && resets_now(facts, best) < 3u) {
    CHECK_EQ(decision->run, best);
    CHECK_EQ(decision->resets, resets_now(facts, best));
    CHECK_EQ(decision->resets_swap, facts->slots[best].swap_number);
  }
  if (best == EP_BOOT_NONE) CHECK_EQ(decision->run, EP_BOOT_NONE);
}

static void three_resets(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision) {
  uint32_t best = by_rule_3(facts);
  const ep_boot_slot_t *other;
  CHECK(!decision->kept || decision->run == EP_BOOT_NONE);
  if (best == EP_BOOT_NONE || resets_now(facts, best) < 3u) {
    CHECK(decision->reject[0] != edgeplug_Reason_REASON_RESETS &&
          decision->reject[1] != edgeplug_Reason_REASON_RESETS);
    return;
  }
  other = &facts->slots[best ^ 1u];
  if (bootable(other) && other->confirmed) {
    CHECK_EQ(decision->run, best ^ 1u);
    CHECK_EQ(decision->reject[best], edgeplug_Reason_REASON_RESETS);
    CHECK_EQ(decision->resets, 0);
  } else {
    CHECK_EQ(decision->run, EP_BOOT_NONE);
    CHECK(decision->kept);
    CHECK_EQ(decision->reject[best], 0);
    CHECK_EQ(decision->resets, 3);
  }
}

static void never(const ep_boot_facts_t *facts, const ep_boot_decision_t *decision) {
  for (uint32_t slot = 0; slot < 2u; slot++) {
    const ep_boot_slot_t *found = &facts->slots[slot];
    if (decision->run == slot) CHECK(bootable(found) && found->confirmed && decision->reject[slot] == 0u);
    if (decision->trial == slot) CHECK(!found->confirmed && decision->reject[slot] == 0u);
    if (!found->intact || found->rejected) CHECK_EQ(decision->reject[slot], 0);
  }
  CHECK(decision->run != decision->trial || decision->run == EP_BOOT_NONE);
}

int main(void) {
  TEST("rule 1: a reset by watchdog or fault during a trial rejects it at this very boot") {
    CHECK_EQ(visit_all(rule_1), 64u * 64u * 4u * 4u * 8u);
  }
  TEST("rule 2: a bootable slot in its trial runs while attempts are left, and is rejected when none is") {
    visit_all(rule_2);
  }
  TEST("rule 3: the bootable confirmed slot with the higher swap number runs, a tie goes to A") {
    visit_all(rule_3);
  }
  TEST("three watchdog resets of a confirmed agent hand over to the other one, or to safe mode for this "
       "power cycle") {
    visit_all(three_resets);
  }
  TEST("nothing unbootable, rejected or merely staged ever runs") {
    visit_all(never);
  }
  return check_done();
}
