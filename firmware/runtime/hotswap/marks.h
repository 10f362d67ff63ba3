/* State marks: facts about a slot, each written once, in two program units that both say it. A unit
 * proves itself: it holds the mark's number and reason, and a CRC-32 over them and the record's swap number.
 *
 *   byte 0  mark, 1..6     byte 1  reason (REJECTED only)     bytes 2, 3  complement of bytes 0, 1
 *   bytes 4..7  CRC-32 over bytes 0..3 and the swap number (4 bytes, little endian)
 *
 * Each unit is read three times: always blank, always the same valid bytes, or else torn (unreadable, another
 * value, different from reading to reading). What a pair means, in either order, and what boot does about it:
 *
 *   pair            STAGED, CONFIRMED              TRIAL, REJECTED
 *   blank   blank   absent                         absent
 *   valid   valid   holds                          holds
 *   valid   blank   holds;  blank copy programmed  holds;  blank copy programmed
 *   valid   torn    holds;  journal: holds         holds;  journal: holds
 *   torn    blank   absent; journal: absent        holds;  blank copy programmed; journal: holds
 *   torn    torn    absent; journal: absent        holds;  journal: holds
 *
 * What the journal says of a record's marks goes before what can be read. So a torn unit that becomes readable
 * later changes nothing any more. A blank copy that doesn't take the mark (programming fails, or it reads back
 * otherwise) counts as torn.
 */
#ifndef EP_HOTSWAP_MARKS_H
#define EP_HOTSWAP_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include "journal.h"

/* In the order of their places in the record. */
typedef enum {
  EP_MARK_STAGED,
  EP_MARK_TRIAL,
  EP_MARK_CONFIRMED = 4,
  EP_MARK_REJECTED,
  EP_MARK_COUNT
} ep_mark_t;

#define EP_MARK_BIT(mark) (1u << (mark))
#define EP_MARK_TRIALS    (7u << EP_MARK_TRIAL)

typedef struct {
  uint8_t set;       /* bit per mark: holds */
  uint8_t touched;   /* bit per mark: a copy isn't blank, or the journal knows of it */
  uint8_t unsettled; /* bit per mark: boot has something to do */
  uint8_t reason;    /* edgeplug_Reason of a rejection */
} ep_marks_t;

/* Reads all marks of `slot`, whose record has `swap_number`. */
void ep_marks_read(const ep_journal_t *journal, uint32_t slot, uint32_t swap_number, ep_marks_t *marks);

/* Completes and notes what the table says. */
void ep_marks_settle(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, const ep_marks_t *marks);

/* Programs one mark and reads it back. If a copy doesn't take it, the journal holds it too. EP_OK, or the journal's
 * error if the mark stands nowhere. */
int ep_marks_set(ep_journal_t *journal, uint32_t slot, uint32_t swap_number, uint32_t mark, uint32_t reason);

/* What the journal keeps about the marks of this very record; begins anew if it is about another one. */
ep_journal_entry_t *ep_marks_facts(ep_journal_t *journal, uint32_t slot, uint32_t swap_number);

#endif
