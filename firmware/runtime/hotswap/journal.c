#include "journal.h"

#include <stddef.h>
#include <string.h>

#include "core/board.h"
#include "crypto/crc32.h"
#include "errors.h"
#include "marks.h"
#include "record_layout.h"

#define EP_ENTRY_SIZE  32u
#define EP_HEADERS     2u /* entries before the keys */
#define EP_MAX_ENTRIES 1024u
#define EP_RETRIES     4u

/* So many entries at the end of a half are kept for writing the last one again after cuts. */
#define EP_RESERVE 4u

_Static_assert(sizeof(ep_journal_entry_t) == EP_ENTRY_SIZE, "an entry is what lies in flash");

/* What mount finds in one half. */
typedef struct {
  ep_journal_entry_t header;
  uint8_t copies;    /* of the header; 0: the rest means nothing */
  bool used;         /* the log went on behind the snapshot */
  bool secure;       /* all keys are there, as the header says */
  uint32_t given_up; /* generation of the other half that this one outlived, 0 = none */
} ep_journal_half_t;

static uint32_t ep_journal_capacity(void) {
  uint32_t entries = ep_board_map()->journal_half_size / EP_ENTRY_SIZE;
  return entries < EP_MAX_ENTRIES ? entries : EP_MAX_ENTRIES;
}

static uint32_t ep_journal_address(uint32_t half, uint32_t index) {
  const ep_board_map_t *map = ep_board_map();
  return map->journal_address + half * map->journal_half_size + index * EP_ENTRY_SIZE;
}

static uint32_t ep_journal_crc(const ep_journal_entry_t *entry) {
  return ep_crc32(0, entry, offsetof(ep_journal_entry_t, crc));
}

static ep_flash_state_t ep_journal_read(uint32_t half, uint32_t index, ep_journal_entry_t *entry) {
  ep_flash_state_t state = ep_flash_read(ep_journal_address(half, index), entry, EP_ENTRY_SIZE);
  return state == EP_FLASH_DATA && ep_journal_crc(entry) != entry->crc ? EP_FLASH_TORN : state;
}

static int ep_journal_put(ep_journal_t *journal, uint32_t half, uint32_t index, ep_journal_entry_t *entry) {
  entry->crc = ep_journal_crc(entry);
  return ep_flash_program(&journal->flash, ep_journal_address(half, index), entry, EP_ENTRY_SIZE);
}

/* ---- state ------------------------------------------------------------------------------------ */

static void ep_journal_apply(ep_journal_t *journal, const ep_journal_entry_t *entry) {
  ep_journal_staging_t *staging = &journal->staging;
  ep_journal_facts_t *facts = &journal->facts[entry->slot & 1u];
  switch (entry->kind) {
  case EP_JOURNAL_BOOT:
  case EP_JOURNAL_STATE:
    journal->resets = entry->extra >> 4;
    journal->resets_swap = entry->u.word[0];
    journal->boot_number = entry->u.word[1];
    journal->nonce = entry->u.word[2];
    journal->security_version = entry->u.word[3];
    break;
  case EP_JOURNAL_BEGIN:
  case EP_JOURNAL_PROGRESS:
    memcpy(staging->digest, entry->u.data, sizeof staging->digest);
    staging->swap_number = entry->swap_number;
    staging->slot = entry->slot & 1u;
    staging->pages = entry->extra & 15u;
    staging->done = entry->extra >> 4;
    staging->active = true;
    break;
  case EP_JOURNAL_REJECTED:
    journal->last_reason = entry->reason;
    journal->last_swap = entry->swap_number;
    if (facts->swap_number != entry->swap_number) memset(facts, 0, sizeof *facts);
    facts->swap_number = entry->swap_number;
    facts->set |= EP_MARK_BIT(EP_MARK_REJECTED);
    facts->reason = entry->reason;
    /* fall through */
  case EP_JOURNAL_CONFIRMED:
    if (staging->swap_number == entry->swap_number) staging->active = false;
    break;
  case EP_JOURNAL_FACTS:
    facts->swap_number = entry->swap_number;
    facts->set = entry->u.data[0];
    facts->absent = entry->u.data[1];
    facts->reason = entry->u.data[2];
    break;
  default: break;
  }
}

/* Newer in the sense of numbers that may wrap. */
static bool ep_journal_newer(uint32_t sequence, uint32_t than) {
  return (int32_t)(sequence - than) > 0;
}

void ep_journal_newest(const ep_journal_t *journal, ep_journal_cursor_t *cursor) {
  cursor->index = journal->next;
  cursor->sequence = journal->sequence;
}

bool ep_journal_previous(const ep_journal_t *journal, ep_journal_cursor_t *cursor,
                         ep_journal_entry_t *entry) {
  while (cursor->index > EP_HEADERS) {
    cursor->index--;
    if (ep_journal_read(journal->half, cursor->index, entry) == EP_FLASH_DATA &&
        ep_journal_newer(cursor->sequence, entry->sequence)) {
      cursor->sequence = entry->sequence;
      return true;
    }
  }
  return false;
}

bool ep_journal_previous_spent(const ep_journal_t *journal, ep_journal_cursor_t *cursor,
                               ep_journal_entry_t *entry) {
  while (ep_journal_previous(journal, cursor, entry)) {
    if (entry->kind == EP_JOURNAL_REJECTED && entry->extra == EP_JOURNAL_SPENDS) return true;
  }
  return false;
}

bool ep_journal_is_spent(const ep_journal_t *journal, const uint8_t digest[EP_JOURNAL_DIGEST]) {
  ep_journal_cursor_t cursor;
  ep_journal_entry_t entry;
  ep_journal_newest(journal, &cursor);
  for (uint32_t left = EP_JOURNAL_SPENT; left > 0u && ep_journal_previous_spent(journal, &cursor, &entry);
       left--) {
    if (memcmp(entry.u.data, digest, EP_JOURNAL_DIGEST) == 0) return true;
  }
  return false;
}

uint32_t ep_journal_key(const ep_journal_t *journal, uint32_t index, uint8_t key[32]) {
  ep_journal_entry_t entry;
  for (uint32_t part = 0; part < 2u; part++) {
    if (ep_journal_read(journal->half, EP_HEADERS + 2u * index + part, &entry) != EP_FLASH_DATA) return 0;
    memcpy(key + 16u * part, entry.u.data, 16);
  }
  return entry.reason;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* Writes `entry` at the end of the log; a place that doesn't take it is left behind. */
static int ep_journal_push(ep_journal_t *journal, ep_journal_entry_t *entry) {
  int error = EP_ERR_FLASH;
  for (uint32_t retry = 0; retry < EP_RETRIES && journal->next < ep_journal_capacity(); retry++) {
    error = ep_journal_put(journal, journal->half, journal->next++, entry);
    if (error == EP_OK) break;
  }
  return error;
}

/* Applies an entry to the state and writes it. */
static int ep_journal_note(ep_journal_t *journal, uint32_t kind, uint32_t slot, uint32_t extra,
                           uint32_t swap_number, const void *data, uint32_t reason) {
  ep_journal_entry_t entry;
  int error;
  memset(&entry, 0, sizeof entry);
  entry.kind = (uint8_t)kind;
  entry.slot = (uint8_t)slot;
  entry.reason = (uint8_t)reason;
  entry.extra = (uint8_t)extra;
  entry.sequence = journal->sequence;
  entry.swap_number = swap_number;
  if (data != NULL) memcpy(entry.u.data, data, sizeof entry.u.data);
  ep_journal_apply(journal, &entry);
  if (journal->damaged) return EP_ERR_JOURNAL;
  error = ep_journal_push(journal, &entry);
  if (error == EP_OK) journal->sequence++;
  return error;
}

static int ep_journal_note_state(ep_journal_t *journal, uint32_t kind, uint32_t slot, uint32_t swap_number,
                                 uint32_t cause) {
  const uint32_t words[4] = {journal->resets_swap, journal->boot_number, journal->nonce,
                             journal->security_version};
  return ep_journal_note(journal, kind, slot, cause | (uint32_t)journal->resets << 4, swap_number, words, 0);
}

static int ep_journal_note_facts(ep_journal_t *journal, uint32_t slot) {
  const ep_journal_facts_t *facts = &journal->facts[slot];
  const uint8_t data[16] = {facts->set, facts->absent, facts->reason};
  return ep_journal_note(journal, EP_JOURNAL_FACTS, slot, 0, facts->swap_number, data, 0);
}

static int ep_journal_note_staging(ep_journal_t *journal, uint32_t kind) {
  const ep_journal_staging_t staging = journal->staging;
  return ep_journal_note(journal, kind, staging.slot, staging.pages | (uint32_t)staging.done << 4,
                         staging.swap_number, staging.digest, 0);
}

/* ---- compaction ------------------------------------------------------------------------------- */

static bool ep_journal_clears(const ep_journal_change_t *change, const ep_journal_entry_t *entry) {
  return change->clear && (change->clear_digest == NULL ||
                           memcmp(change->clear_digest, entry->u.data, EP_JOURNAL_DIGEST) == 0);
}

/* Copies what is still of interest of the log in `from` to the half that the journal now writes to. */
static int ep_journal_copy(ep_journal_t *journal, ep_journal_t *from, const ep_journal_change_t *change) {
  uint8_t keep[EP_MAX_ENTRIES / 8u];
  uint32_t history = 0, spent = 0;
  ep_journal_cursor_t cursor;
  ep_journal_entry_t entry;
  memset(keep, 0, sizeof keep);
  ep_journal_newest(from, &cursor);
  while (ep_journal_previous(from, &cursor, &entry)) {
    bool spends = entry.kind == EP_JOURNAL_REJECTED && entry.extra == EP_JOURNAL_SPENDS &&
                  !ep_journal_clears(change, &entry) && spent++ < EP_JOURNAL_SPENT;
    if (entry.kind <= EP_JOURNAL_LAST_HISTORY && (history++ < EP_JOURNAL_HISTORY || spends)) {
      keep[cursor.index / 8u] |= (uint8_t)(1u << cursor.index % 8u);
    }
  }
  for (uint32_t index = EP_HEADERS; index < from->next; index++) {
    int error;
    if ((keep[index / 8u] >> index % 8u & 1u) == 0u) continue;
    if (ep_journal_read(from->half, index, &entry) != EP_FLASH_DATA) continue;
    if (entry.kind == EP_JOURNAL_REJECTED && ep_journal_clears(change, &entry)) entry.extra = 0;
    error = ep_journal_push(journal, &entry);
    if (error != EP_OK) return error;
  }
  return EP_OK;
}

/* Copies the keys, and a new one. A key that can't be read or doesn't get written ends the compaction: a half
 * with fewer keys must not come to be. `crc` is over all of them. */
static int ep_journal_copy_keys(ep_journal_t *journal, const ep_journal_t *from,
                                const ep_journal_change_t *change, uint32_t *crc) {
  ep_journal_entry_t entry;
  uint32_t parts = 2u * from->keys + (change->add_key != NULL ? 2u : 0u);
  journal->keys = (uint8_t)(parts / 2u);
  for (uint32_t part = 0; part < parts; part++) {
    int error;
    if (part < 2u * from->keys) {
      if (ep_journal_read(from->half, EP_HEADERS + part, &entry) != EP_FLASH_DATA) return EP_ERR_JOURNAL;
    } else {
      memset(&entry, 0, sizeof entry);
      entry.kind = EP_JOURNAL_KEY;
      entry.slot = (uint8_t)(part / 2u);
      entry.reason = change->add_role;
      entry.extra = part & 1u;
      memcpy(entry.u.data, change->add_key + 16u * (part & 1u), 16);
    }
    error = ep_journal_put(journal, journal->half, journal->next++, &entry);
    if (error != EP_OK) return error;
    *crc = ep_crc32(*crc, &entry, sizeof entry);
  }
  return EP_OK;
}

/* Fills the other half, whose header comes last. Until then the one in use is untouched. */
static int ep_journal_fill(ep_journal_t *journal, ep_journal_t *from, const ep_journal_change_t *change) {
  uint32_t erase_size = ep_board_map()->erase_size, crc = 0;
  ep_journal_entry_t header;
  int error = EP_OK;
  journal->half = from->half ^ 1u;
  journal->next = EP_HEADERS;
  for (uint32_t done = 0; done < ep_board_map()->journal_half_size && error == EP_OK; done += erase_size) {
    error = ep_flash_erase(&journal->flash, ep_journal_address(journal->half, 0) + done);
  }
  if (error == EP_OK) error = ep_journal_copy_keys(journal, from, change, &crc);
  if (error == EP_OK) error = ep_journal_copy(journal, from, change);
  if (error == EP_OK) error = ep_journal_note_state(journal, EP_JOURNAL_STATE, 0, 0, 0);
  for (uint32_t slot = 0; slot < 2u && error == EP_OK; slot++) error = ep_journal_note_facts(journal, slot);
  if (error == EP_OK && journal->staging.active)
    error = ep_journal_note_staging(journal, EP_JOURNAL_PROGRESS);
  if (error != EP_OK) return error;
  memset(&header, 0, sizeof header);
  header.kind = EP_JOURNAL_HEADER;
  header.slot = journal->keys;
  header.reason = journal->locked;
  header.swap_number = ++journal->generation;
  header.u.word[0] = crc;
  header.u.word[1] = journal->next;
  error = ep_journal_put(journal, journal->half, 0, &header);
  if (error == EP_OK) error = ep_journal_put(journal, journal->half, 1, &header);
  return error;
}

static int ep_journal_compact(ep_journal_t *journal, const ep_journal_change_t *change) {
  static const ep_journal_change_t nothing;
  ep_journal_t from = *journal;
  int error;
  if (change == NULL) change = &nothing;
  journal->locked |= change->lock;
  error = ep_journal_fill(journal, &from, change);
  if (error != EP_OK) {
    from.flash = journal->flash;
    *journal = from;
  }
  return error;
}

int ep_journal_change(ep_journal_t *journal, const ep_journal_change_t *change) {
  int error;
  if (journal->damaged) return EP_ERR_JOURNAL;
  error = ep_journal_compact(journal, change);
  if (error == EP_OK && (change->add_key != NULL || change->lock)) error = ep_journal_compact(journal, NULL);
  return error;
}

/* ---- appending -------------------------------------------------------------------------------- */

/* If that fails, the reserve still takes a few entries. */
static void ep_journal_make_room(ep_journal_t *journal) {
  if (!journal->damaged && journal->next + EP_RESERVE >= ep_journal_capacity()) {
    (void)ep_journal_compact(journal, NULL);
  }
}

int ep_journal_append(ep_journal_t *journal, uint32_t kind, uint32_t slot, uint32_t reason, uint32_t extra,
                      uint32_t swap_number, const void *data) {
  ep_journal_make_room(journal);
  return ep_journal_note(journal, kind, slot, extra, swap_number, data, reason);
}

int ep_journal_state(ep_journal_t *journal, uint32_t kind, uint32_t slot, uint32_t swap_number,
                     uint32_t cause) {
  ep_journal_make_room(journal);
  return ep_journal_note_state(journal, kind, slot, swap_number, cause);
}

int ep_journal_facts(ep_journal_t *journal, uint32_t slot) {
  ep_journal_make_room(journal);
  return ep_journal_note_facts(journal, slot);
}

int ep_journal_staging(ep_journal_t *journal, uint32_t kind) {
  ep_journal_make_room(journal);
  return ep_journal_note_staging(journal, kind);
}

/* ---- mount ------------------------------------------------------------------------------------ */

static void ep_journal_inspect(uint32_t half, ep_journal_half_t *found) {
  ep_journal_entry_t entry;
  uint32_t crc = 0;
  memset(found, 0, sizeof *found);
  for (uint32_t copy = 0; copy < EP_HEADERS; copy++) {
    if (ep_journal_read(half, copy, &entry) != EP_FLASH_DATA || entry.kind != EP_JOURNAL_HEADER) continue;
    found->header = entry;
    found->copies++;
  }
  if (found->copies == 0u) return;
  for (uint32_t index = found->header.u.word[1]; index < ep_journal_capacity(); index++) {
    if (ep_journal_read(half, index, &entry) != EP_FLASH_DATA) continue;
    found->used = true;
    if (entry.kind == EP_JOURNAL_HEADER) found->given_up = entry.swap_number;
  }
  for (uint32_t part = 0; part < 2u * found->header.slot; part++) {
    if (ep_journal_read(half, EP_HEADERS + part, &entry) != EP_FLASH_DATA) return;
    crc = ep_crc32(crc, &entry, sizeof entry);
  }
  found->secure = crc == found->header.u.word[0];
}

/* Applies the log of the half in use. An entry counts only if the next readable one is newer. Returns whether
 * the last one has to be written again, and leaves it in `last`. */
static bool ep_journal_replay(ep_journal_t *journal, ep_journal_entry_t *last) {
  ep_journal_entry_t entry;
  bool pending = false, torn = false;
  journal->next = EP_HEADERS;
  for (uint32_t index = EP_HEADERS; index < ep_journal_capacity(); index++) {
    ep_flash_state_t state = ep_journal_read(journal->half, index, &entry);
    if (state == EP_FLASH_BLANK) continue;
    journal->next = (uint16_t)(index + 1u);
    torn = state == EP_FLASH_TORN;
    if (torn || entry.kind == EP_JOURNAL_KEY) continue;
    if (pending && ep_journal_newer(entry.sequence, last->sequence)) ep_journal_apply(journal, last);
    *last = entry;
    pending = true;
  }
  if (!pending) return false;
  ep_journal_apply(journal, last);
  journal->sequence = last->sequence + 1u;
  return torn || last->kind != EP_JOURNAL_BOOT;
}

static bool ep_journal_same_keys(const ep_journal_half_t *a, const ep_journal_half_t *b) {
  return a->secure && b->secure && a->header.u.word[0] == b->header.u.word[0] &&
         a->header.slot == b->header.slot && a->header.reason == b->header.reason;
}

/* What matters most first. Keys: what they are can't be found out again. Then that the other half has not outlived
 * this one. A header of which only one copy can be read may be a torn commit, but not if the log went on. */
static uint32_t ep_journal_score(const ep_journal_half_t *half, const ep_journal_half_t *other) {
  bool outlived = other->given_up != 0u && other->given_up == half->header.swap_number;
  if (half->copies == 0u) return 0;
  return 1u + half->secure * 8u + !outlived * 4u + (half->copies == EP_HEADERS || half->used) * 2u;
}

static void ep_journal_format(ep_journal_t *journal) {
  bool blank = true;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    blank = blank && ep_flash_compare(ep_board_map()->slot_address[slot], NULL, EP_RECORD_SLOT_SIZE) == EP_OK;
  }
  journal->half = 1;
  journal->next = EP_HEADERS;
  journal->damaged =
      !blank || ep_journal_compact(journal, NULL) != EP_OK || ep_journal_compact(journal, NULL) != EP_OK;
}

void ep_journal_mount(ep_journal_t *journal) {
  ep_journal_half_t halves[2];
  ep_journal_entry_t last;
  const ep_journal_half_t *here, *there;
  uint32_t score[2];
  bool again;
  memset(journal, 0, sizeof *journal);
  for (uint32_t half = 0; half < 2u; half++) ep_journal_inspect(half, &halves[half]);
  if (halves[0].copies == 0u && halves[1].copies == 0u) {
    ep_journal_format(journal);
    return;
  }
  for (uint32_t half = 0; half < 2u; half++)
    score[half] = ep_journal_score(&halves[half], &halves[half ^ 1u]);
  journal->half = score[0] == score[1]
                      ? ep_journal_newer(halves[1].header.swap_number, halves[0].header.swap_number)
                      : score[1] > score[0];
  here = &halves[journal->half];
  there = &halves[journal->half ^ 1u];
  journal->generation = here->given_up != 0u ? here->given_up : here->header.swap_number;
  journal->keys = here->header.slot;
  journal->locked = here->header.reason != 0u;
  again = ep_journal_replay(journal, &last);
  journal->damaged = !here->secure;
  if (journal->damaged) return;
  if (again) (void)ep_journal_push(journal, &last);
  if (there->copies != 0u && ep_journal_newer(there->header.swap_number, journal->generation)) {
    /* It must stay dead if it becomes readable later, while this one goes on. */
    journal->generation = there->header.swap_number;
    (void)ep_journal_note(journal, EP_JOURNAL_HEADER, 0, 0, journal->generation, NULL, 0);
  }
  /* Both halves are to be whole and to agree about the keys. */
  if (here->copies < EP_HEADERS) (void)ep_journal_compact(journal, NULL);
  if (here->copies + there->copies < 2u * EP_HEADERS || !ep_journal_same_keys(here, there)) {
    (void)ep_journal_compact(journal, NULL);
  }
}
