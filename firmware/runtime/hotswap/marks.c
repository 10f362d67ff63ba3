#include "marks.h"

#include <string.h>

#include "core/board.h"
#include "crypto/crc32.h"
#include "defects.h"
#include "device.pb.h"
#include "errors.h"
#include "record_layout.h"

/* A torn TRIAL is an attempt used, a torn REJECTED rejects; a torn STAGED or CONFIRMED never was. */
#define EP_TORN_HOLDS                                                                                        \
  (EP_MARK_TRIALS | EP_MARK_BIT(EP_MARK_REJECTED) |                                                          \
   (uint32_t)EP_DEFECT(TRUST_A_TORN_MARK) << EP_MARK_CONFIRMED)

#define EP_UNIT_VALID EP_FLASH_DATA

static uint32_t ep_mark_address(uint32_t slot, uint32_t mark) {
  return ep_board_map()->slot_address[slot] + EP_RECORD_PAYLOAD_MAX + EP_RECORD_MARK_STAGED_OFFSET +
         mark * EP_RECORD_MARK_SIZE;
}

static void ep_mark_unit(uint32_t unit[2], uint32_t mark, uint32_t reason, uint32_t swap_number) {
  uint32_t said = (mark + 1u) | reason << 8;
  unit[0] = said | ~said << 16;
  unit[1] = swap_number;
  unit[1] = ep_crc32(0, unit, 8);
}

/* Reads one copy of a mark; leaves its reason if it is valid. */
static ep_flash_state_t ep_mark_read(uint32_t address, uint32_t mark, uint32_t swap_number, uint8_t *reason) {
  uint32_t unit[2], valid[2];
  ep_flash_state_t state = ep_flash_read(address, unit, sizeof unit);
  if (state != EP_FLASH_DATA) return state;
  ep_mark_unit(valid, mark, unit[0] >> 8 & 0xFFu, swap_number);
  if (unit[0] != valid[0] || unit[1] != valid[1]) return EP_FLASH_TORN;
  *reason = (uint8_t)(unit[0] >> 8);
  return EP_UNIT_VALID;
}

ep_journal_entry_t *ep_marks_facts(ep_journal_t *journal, uint32_t slot, uint32_t swap_number) {
  ep_journal_entry_t *facts = &journal->kept[EP_KEPT_FACTS + slot];
  if (facts->swap_number != swap_number) {
    memset(facts, 0, sizeof *facts);
    facts->swap_number = swap_number;
  }
  facts->slot = (uint8_t)slot;
  return facts;
}

void ep_marks_read(const ep_journal_t *journal, uint32_t slot, uint32_t swap_number, ep_marks_t *marks) {
  const ep_journal_entry_t *facts = &journal->kept[EP_KEPT_FACTS + slot];
  uint32_t seen[3] = {0, 0, 0}, both = 0, known_set = 0, known_absent = 0, holds;
  uint8_t reason = edgeplug_Reason_REASON_TORN;
  for (uint32_t mark = EP_MARK_COUNT; mark-- > 0u;) {
    uint32_t address = ep_mark_address(slot, mark), bit = EP_MARK_BIT(mark);
    ep_flash_state_t second = ep_mark_read(address + EP_FLASH_UNIT, mark, swap_number, &reason);
    ep_flash_state_t first = ep_mark_read(address, mark, swap_number, &reason);
    seen[first] |= bit;
    seen[second] |= bit;
    if (first == second) both |= bit;
    if (mark == EP_MARK_REJECTED) marks->reason = reason;
  }
  if (facts->swap_number == swap_number) {
    known_set = facts->u.facts.set;
    known_absent = facts->u.facts.absent;
    if ((known_set & EP_MARK_BIT(EP_MARK_REJECTED)) != 0u) marks->reason = facts->u.facts.reason;
  }
  holds = known_set | ((seen[EP_UNIT_VALID] | (seen[EP_FLASH_TORN] & EP_TORN_HOLDS)) & ~known_absent);
  marks->set = (uint8_t)holds;
  marks->touched = (uint8_t)(holds | seen[EP_UNIT_VALID] | seen[EP_FLASH_TORN] | known_absent);
  marks->unsettled =
      (uint8_t)((holds & ~(seen[EP_UNIT_VALID] & both)) | (seen[EP_FLASH_TORN] & ~holds & ~known_absent));
  if ((holds & EP_MARK_BIT(EP_MARK_REJECTED)) == 0u) marks->reason = 0;
}

int ep_marks_set(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, uint32_t mark, uint32_t reason) {
  ep_journal_entry_t *facts = ep_marks_facts(journal, slot, swap_number);
  uint32_t address = ep_mark_address(slot, mark), bit = EP_MARK_BIT(mark), valid = 0;
  uint32_t unit[2];
  uint8_t ignored;
  int error;
  ep_mark_unit(unit, mark, reason, swap_number);
  for (uint32_t copy = 0; copy < 2u; copy++, address += EP_FLASH_UNIT) {
    ep_flash_state_t state = ep_mark_read(address, mark, swap_number, &ignored);
    if (EP_DEFECT(SINGLE_MARK) && copy != 0u) state = EP_UNIT_VALID;
    if (state == EP_FLASH_BLANK && ep_flash_program(&journal->flash, address, unit, sizeof unit) == EP_OK) {
      state = EP_UNIT_VALID;
    }
    valid += state == EP_UNIT_VALID;
  }
  if ((facts->u.facts.absent & bit) == 0u && (valid == 2u || (facts->u.facts.set & bit) != 0u)) return EP_OK;
  facts->u.facts.set |= (uint8_t)bit;
  facts->u.facts.absent &= (uint8_t)~bit;
  if (mark == EP_MARK_REJECTED) facts->u.facts.reason = (uint8_t)reason;
  error = ep_journal_save(journal, EP_KEPT_FACTS + slot, EP_JOURNAL_FACTS);
  return valid != 0u ? EP_OK : error;
}

void ep_marks_settle(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, const ep_marks_t *marks) {
  uint32_t absent = marks->unsettled & ~(uint32_t)marks->set;
  if (EP_DEFECT(NO_SECOND_COPY_COMPLETED)) return;
  for (uint32_t mark = 0; mark < EP_MARK_COUNT; mark++) {
    if ((marks->unsettled & marks->set & EP_MARK_BIT(mark)) == 0u) continue;
    (void)ep_marks_set(journal, slot, swap_number, mark, mark == EP_MARK_REJECTED ? marks->reason : 0u);
  }
  if (absent == 0u) return;
  ep_marks_facts(journal, slot, swap_number)->u.facts.absent |= (uint8_t)absent;
  (void)ep_journal_save(journal, EP_KEPT_FACTS + slot, EP_JOURNAL_FACTS);
}
