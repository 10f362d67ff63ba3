#include "marks.h"

#include <string.h>

#include "core/board.h"
#include "crypto/crc32.h"
#include "device.pb.h"
#include "errors.h"
#include "record_layout.h"

/* A torn TRIAL is an attempt used, a torn REJECTED rejects; a torn STAGED or CONFIRMED never was. */
#define EP_TORN_HOLDS (EP_MARK_TRIALS | EP_MARK_BIT(EP_MARK_REJECTED))

#define EP_MARK_COPIES 2u

typedef struct {
  ep_flash_state_t copy[EP_MARK_COPIES];
  uint8_t reason; /* of the first valid copy */
} ep_mark_pair_t;

static uint32_t ep_mark_address(uint32_t slot, uint32_t mark, uint32_t copy) {
  return ep_board_map()->slot_address[slot] + EP_RECORD_PAYLOAD_MAX + EP_RECORD_MARK_STAGED_OFFSET +
         mark * EP_RECORD_MARK_SIZE + copy * EP_FLASH_UNIT;
}

static void ep_mark_unit(uint32_t unit[2], uint32_t mark, uint32_t reason, uint32_t swap_number) {
  uint32_t said = (mark + 1u) | reason << 8;
  unit[0] = said | ~said << 16;
  unit[1] = ep_crc32(ep_crc32(0, &unit[0], 4), &swap_number, 4);
}

static void ep_mark_read(uint32_t slot, uint32_t swap_number, uint32_t mark, ep_mark_pair_t *pair) {
  pair->reason = 0;
  for (uint32_t copy = EP_MARK_COPIES; copy-- > 0u;) {
    uint32_t unit[2], valid[2];
    uint8_t reason;
    pair->copy[copy] = ep_flash_read(ep_mark_address(slot, mark, copy), unit, sizeof unit);
    if (pair->copy[copy] != EP_FLASH_DATA) continue;
    reason = (uint8_t)(unit[0] >> 8);
    ep_mark_unit(valid, mark, reason, swap_number);
    if (memcmp(unit, valid, sizeof unit) == 0) {
      pair->reason = reason;
    } else {
      pair->copy[copy] = EP_FLASH_TORN;
    }
  }
}

static bool ep_mark_any(const ep_mark_pair_t *pair, ep_flash_state_t state) {
  return pair->copy[0] == state || pair->copy[1] == state;
}

/* The facts about this very record, all zeros if there are none. */
static ep_journal_facts_t *ep_marks_facts(ep_journal_t *journal, uint32_t slot, uint32_t swap_number) {
  ep_journal_facts_t *facts = &journal->facts[slot];
  if (facts->swap_number != swap_number) {
    memset(facts, 0, sizeof *facts);
    facts->swap_number = swap_number;
  }
  return facts;
}

/* Programs the blank copies; what then isn't whole goes to the journal. */
static int ep_mark_complete(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, uint32_t mark,
                            uint32_t reason, ep_mark_pair_t *pair) {
  ep_journal_facts_t *facts = ep_marks_facts(journal, slot, swap_number);
  uint8_t bit = (uint8_t)EP_MARK_BIT(mark);
  uint32_t unit[2];
  int error = EP_OK, noted;
  ep_mark_unit(unit, mark, reason, swap_number);
  for (uint32_t copy = 0; copy < EP_MARK_COPIES; copy++) {
    int failed;
    if (pair->copy[copy] != EP_FLASH_BLANK) continue;
    failed = ep_flash_program(&journal->flash, ep_mark_address(slot, mark, copy), unit, sizeof unit);
    pair->copy[copy] = failed == EP_OK ? EP_FLASH_DATA : EP_FLASH_TORN;
    if (failed != EP_OK) error = failed;
  }
  if (!ep_mark_any(pair, EP_FLASH_TORN) && (facts->absent & bit) == 0u) return EP_OK;
  if ((facts->set & bit) != 0u && (facts->absent & bit) == 0u) return EP_OK;
  facts->set |= bit;
  facts->absent &= (uint8_t)~bit;
  if (mark == EP_MARK_REJECTED) facts->reason = (uint8_t)reason;
  noted = ep_journal_facts(journal, slot);
  if (noted == EP_OK || ep_mark_any(pair, EP_FLASH_DATA)) return EP_OK;
  return error != EP_OK ? error : noted;
}

/* Reads all marks into `marks`; with `settle`, does what the table in the header says about each pair. */
static void ep_marks_scan(ep_journal_t *settle, const ep_journal_facts_t *known, uint32_t slot,
                          uint32_t swap_number, ep_marks_t *marks) {
  ep_journal_facts_t facts = *known;
  bool absent = false;
  if (facts.swap_number != swap_number) memset(&facts, 0, sizeof facts);
  memset(marks, 0, sizeof *marks);
  for (uint32_t mark = 0; mark < EP_MARK_COUNT; mark++) {
    uint8_t bit = (uint8_t)EP_MARK_BIT(mark);
    ep_mark_pair_t pair;
    bool holds, torn, valid;
    ep_mark_read(slot, swap_number, mark, &pair);
    torn = ep_mark_any(&pair, EP_FLASH_TORN);
    valid = ep_mark_any(&pair, EP_FLASH_DATA);
    holds = (facts.set & bit) != 0u ||
            ((facts.absent & bit) == 0u && (valid || (torn && (EP_TORN_HOLDS & bit) != 0u)));
    if (torn || valid || holds || (facts.absent & bit) != 0u) marks->touched |= bit;
    if (holds) marks->set |= bit;
    if (holds && mark == EP_MARK_REJECTED) {
      marks->reason = (facts.set & bit) != 0u ? facts.reason : pair.reason;
      if (marks->reason == 0u) marks->reason = edgeplug_Reason_REASON_TORN;
    }
    if (settle == NULL) continue;
    if (holds && (pair.copy[0] != EP_FLASH_DATA || pair.copy[1] != EP_FLASH_DATA)) {
      (void)ep_mark_complete(settle, slot, swap_number, mark, mark == EP_MARK_REJECTED ? marks->reason : 0u,
                             &pair);
    } else if (!holds && torn && (facts.absent & bit) == 0u) {
      ep_marks_facts(settle, slot, swap_number)->absent |= bit;
      absent = true;
    }
  }
  if (absent) (void)ep_journal_facts(settle, slot);
}

void ep_marks_read(const ep_journal_t *journal, uint32_t slot, uint32_t swap_number, ep_marks_t *marks) {
  ep_marks_scan(NULL, &journal->facts[slot], slot, swap_number, marks);
}

void ep_marks_settle(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, ep_marks_t *marks) {
  ep_marks_scan(journal, &journal->facts[slot], slot, swap_number, marks);
}

int ep_marks_set(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, ep_mark_t mark,
                 uint32_t reason) {
  ep_mark_pair_t pair;
  ep_mark_read(slot, swap_number, mark, &pair);
  return ep_mark_complete(journal, slot, swap_number, mark, reason, &pair);
}
