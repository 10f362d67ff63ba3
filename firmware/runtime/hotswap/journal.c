#include "journal.h"

#include <stddef.h>
#include <string.h>

#include "core/board.h"
#include "crypto/crc32.h"
#include "defects.h"
#include "errors.h"
#include "marks.h"
#include "record_layout.h"

#define EP_ENTRY_SIZE  32u
#define EP_HEADERS     2u /* entries before the keys */
#define EP_MAX_ENTRIES 256u
#define EP_RETRIES     4u

/* So many entries at the end of a half are kept for writing the last one again after cuts. */
#define EP_RESERVE 4u

_Static_assert(sizeof(ep_journal_entry_t) == EP_ENTRY_SIZE, "an entry is what lies in flash");

static uint32_t ep_journal_capacity(void) {
  return ep_board_map()->journal_half_size / EP_ENTRY_SIZE;
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

static int ep_journal_put(ep_journal_t *journal, uint32_t index, ep_journal_entry_t *entry) {
  entry->crc = ep_journal_crc(entry);
  return ep_flash_program(&journal->flash, ep_journal_address(journal->half, index), entry, EP_ENTRY_SIZE);
}

/* ---- reading ---------------------------------------------------------------------------------- */

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

bool ep_journal_spends(const ep_journal_entry_t *entry) {
  return entry->kind == EP_JOURNAL_REJECTED && entry->extra != 0u;
}

bool ep_journal_is_spent(const ep_journal_t *journal, const uint8_t digest[EP_JOURNAL_DIGEST]) {
  ep_journal_cursor_t cursor;
  ep_journal_entry_t entry;
  uint32_t left = EP_JOURNAL_SPENT;
  ep_journal_newest(journal, &cursor);
  while (left > 0u && ep_journal_previous(journal, &cursor, &entry)) {
    if (!ep_journal_spends(&entry)) continue;
    if (memcmp(entry.u.data, digest, EP_JOURNAL_DIGEST) == 0) return true;
    left--;
  }
  return false;
}

uint32_t ep_journal_key(const ep_journal_t *journal, uint32_t index, uint8_t key[32]) {
  ep_journal_entry_t entry;
  for (uint32_t part = 0; part < 2u; part++) {
    uint32_t half = journal->half;
    /* Keys stand at the same places in both halves: where one has rotted, the other tells. */
    while (ep_journal_read(half, EP_HEADERS + 2u * index + part, &entry) != EP_FLASH_DATA ||
           entry.kind != EP_JOURNAL_KEY) {
      if (half != journal->half) return 0;
      half ^= 1u;
    }
    memcpy(key + 16u * part, entry.u.data, 16);
  }
  return entry.reason;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void ep_journal_apply(ep_journal_t *journal, const ep_journal_entry_t *entry) {
  static const uint8_t places[] = {
      [EP_JOURNAL_BOOT] = EP_KEPT_STATE + 1,       [EP_JOURNAL_STATE] = EP_KEPT_STATE + 1,
      [EP_JOURNAL_FACTS] = EP_KEPT_FACTS + 1,      [EP_JOURNAL_BEGIN] = EP_KEPT_STAGING + 1,
      [EP_JOURNAL_PROGRESS] = EP_KEPT_STAGING + 1, [EP_JOURNAL_REJECTED] = EP_KEPT_REJECTED + 1,
  };
  ep_journal_entry_t *kept = journal->kept, *facts = &kept[EP_KEPT_FACTS + (entry->slot & 1u)];
  uint32_t place = entry->kind < sizeof places ? places[entry->kind] : 0u;
  if (entry->kind == EP_JOURNAL_FACTS) {
    *facts = *entry;
  } else if (place != 0u) {
    kept[place - 1u] = *entry;
  }
  if (entry->kind != EP_JOURNAL_REJECTED && entry->kind != EP_JOURNAL_CONFIRMED) return;
  if (kept[EP_KEPT_STAGING].swap_number == entry->swap_number) kept[EP_KEPT_STAGING].kind = 0;
  if (entry->kind != EP_JOURNAL_REJECTED) return;
  ep_marks_facts(journal, entry->slot & 1u, entry->swap_number);
  facts->u.facts.set |= EP_MARK_BIT(EP_MARK_REJECTED);
  facts->u.facts.reason = entry->reason;
}

/* Writes `entry` at the end of the log; a place that doesn't take it is left behind. */
static int ep_journal_push(ep_journal_t *journal, ep_journal_entry_t *entry) {
  int error = EP_ERR_FLASH;
  for (uint32_t retry = 0; retry < EP_RETRIES && journal->next < ep_journal_capacity() && error != EP_OK;
       retry++) {
    error = ep_journal_put(journal, journal->next++, entry);
  }
  return error;
}

static int ep_journal_add(ep_journal_t *journal, ep_journal_entry_t *entry) {
  int error;
  entry->sequence = journal->sequence;
  ep_journal_apply(journal, entry);
  if (journal->damaged) return journal->damaged;
  error = ep_journal_push(journal, entry);
  if (error == EP_OK) journal->sequence++;
  return error;
}

/* ---- compaction ------------------------------------------------------------------------------- */

static bool ep_journal_clears(const ep_journal_change_t *change, const ep_journal_entry_t *entry) {
  return change->clear && (change->clear_digest == NULL ||
                           memcmp(change->clear_digest, entry->u.data, EP_JOURNAL_DIGEST) == 0);
}

/* Copies what is still of interest of the log of `from` to the half that the journal now writes to. */
static int ep_journal_copy(ep_journal_t *journal, const ep_journal_t *from,
                           const ep_journal_change_t *change) {
  bool keep[EP_MAX_ENTRIES];
  uint32_t history = EP_JOURNAL_HISTORY, spent = EP_JOURNAL_SPENT;
  ep_journal_cursor_t cursor;
  ep_journal_entry_t entry;
  int error = EP_OK;
  memset(keep, 0, sizeof keep);
  ep_journal_newest(from, &cursor);
  while (ep_journal_previous(from, &cursor, &entry)) {
    if (entry.kind > EP_JOURNAL_LAST_HISTORY) continue;
    keep[cursor.index] = history > 0u;
    if (history > 0u) history--;
    if (spent > 0u && ep_journal_spends(&entry) && !ep_journal_clears(change, &entry)) {
      keep[cursor.index] = true;
      spent--;
    }
  }
  for (uint32_t index = EP_HEADERS; index < from->next && error == EP_OK; index++) {
    if (!keep[index] || ep_journal_read(from->half, index, &entry) != EP_FLASH_DATA) continue;
    if (entry.kind == EP_JOURNAL_REJECTED && ep_journal_clears(change, &entry)) entry.extra = 0;
    if (EP_DEFECT(FORGET_THE_SPENT_LIST) && ep_journal_spends(&entry)) entry.extra = 0;
    error = ep_journal_push(journal, &entry);
  }
  return error;
}

/* Keys in RAM: the half that is about to be erased may hold the only good copy. */
typedef struct {
  uint8_t role[EP_JOURNAL_KEYS];
  uint8_t part[2u * EP_JOURNAL_KEYS][16];
} ep_journal_keys_t;

/* A key that can't be read or doesn't get written ends the compaction: a half with fewer keys must not come to be. */
static int ep_journal_put_keys(ep_journal_t *journal, const ep_journal_keys_t *keys) {
  ep_journal_entry_t entry;
  int error = EP_OK;
  memset(&entry, 0, sizeof entry);
  entry.kind = EP_JOURNAL_KEY;
  for (uint32_t part = 0; part < 2u * journal->keys && error == EP_OK; part++) {
    entry.reason = keys->role[part / 2u];
    memcpy(entry.u.data, keys->part[part], 16);
    error = ep_journal_put(journal, journal->next++, &entry);
  }
  return error;
}

/* Fills the other half, whose header comes last. Until then the one in use is untouched. */
static int ep_journal_fill(ep_journal_t *journal, const ep_journal_t *from,
                           const ep_journal_change_t *change) {
  static const uint8_t kinds[] = {EP_JOURNAL_STATE, EP_JOURNAL_FACTS, EP_JOURNAL_FACTS, EP_JOURNAL_PROGRESS};
  ep_journal_entry_t entry;
  ep_journal_keys_t keys;
  int error = EP_OK;
  journal->keys = 0;
  for (uint32_t index = 0; index < from->keys; index++) {
    if (index + 1u == change->drop) continue;
    keys.role[journal->keys] = (uint8_t)ep_journal_key(journal, index, keys.part[2u * journal->keys]);
    if (keys.role[journal->keys++] == 0u) return EP_ERR_JOURNAL;
  }
  if (change->add_key != NULL) {
    keys.role[journal->keys] = change->add_role;
    memcpy(keys.part[2u * journal->keys++], change->add_key, 32);
  }
  if (!EP_DEFECT(JOURNAL_WITHOUT_PING_PONG)) journal->half ^= 1u;
  journal->next = EP_HEADERS;
  for (uint32_t index = 0; index < ep_journal_capacity() && error == EP_OK;
       index += ep_board_map()->erase_size / EP_ENTRY_SIZE) {
    error = ep_flash_erase(&journal->flash, ep_journal_address(journal->half, index));
  }
  if (error == EP_OK) error = ep_journal_put_keys(journal, &keys);
  if (error == EP_OK) error = ep_journal_copy(journal, from, change);
  for (uint32_t kept = 0; kept < sizeof kinds && error == EP_OK; kept++) {
    entry = journal->kept[kept];
    if (kept == EP_KEPT_STAGING && entry.kind == 0u) continue;
    entry.kind = kinds[kept];
    if (kept == EP_KEPT_FACTS + 1u) entry.slot = 1; /* also if nothing is known of it yet */
    error = ep_journal_add(journal, &entry);
  }
  memset(&entry, 0, sizeof entry);
  entry.kind = EP_JOURNAL_HEADER;
  entry.slot = journal->keys;
  entry.reason = journal->locked;
  entry.swap_number = ++journal->generation;
  entry.u.snapshot_end = journal->next;
  for (uint32_t copy = 0; copy < EP_HEADERS && error == EP_OK; copy++) {
    error = ep_journal_put(journal, copy, &entry);
  }
  return error;
}

static int ep_journal_compact(ep_journal_t *journal, const ep_journal_change_t *change) {
  ep_journal_t from = *journal;
  int error;
  if (change->lock != 0u) journal->locked = change->lock == EP_JOURNAL_LOCK;
  error = ep_journal_fill(journal, &from, change);
  if (error != EP_OK) {
    from.flash = journal->flash;
    *journal = from;
  }
  return error;
}

static const ep_journal_change_t ep_journal_no_change;

int ep_journal_change(ep_journal_t *journal, const ep_journal_change_t *change) {
  int error = journal->damaged ? journal->damaged : ep_journal_compact(journal, change);
  if (error == EP_OK && !change->clear && !EP_DEFECT(KEYS_IN_ONE_HALF))
    error = ep_journal_compact(journal, &ep_journal_no_change);
  return error;
}

/* ---- appending -------------------------------------------------------------------------------- */

int ep_journal_write(ep_journal_t *journal, ep_journal_entry_t *entry) {
  /* If that fails, the reserve still takes a few entries. */
  if (!journal->damaged && journal->next + EP_RESERVE >= ep_journal_capacity()) {
    (void)ep_journal_compact(journal, &ep_journal_no_change);
  }
  return ep_journal_add(journal, entry);
}

int ep_journal_note(ep_journal_t *journal, uint32_t kind, uint32_t slot, uint32_t reason,
                    uint32_t swap_number) {
  ep_journal_entry_t entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = (uint8_t)kind;
  entry.slot = (uint8_t)slot;
  entry.reason = (uint8_t)reason;
  entry.swap_number = swap_number;
  return ep_journal_write(journal, &entry);
}

int ep_journal_save(ep_journal_t *journal, uint32_t kept, uint32_t kind) {
  ep_journal_entry_t entry = journal->kept[kept];
  entry.kind = (uint8_t)kind;
  return ep_journal_write(journal, &entry);
}

/* ---- mount ------------------------------------------------------------------------------------ */

/* One half as it was found. */
typedef struct {
  ep_journal_t journal;
  ep_journal_entry_t last; /* of the log */
  uint32_t outlived;       /* generation of the other half that this one went on without, its own = none */
  uint32_t security;       /* CRC-32 over lock state and all keys: another number of keys gives another one */
  uint8_t copies;          /* of the header; 0: the rest means nothing */
  bool used;               /* the log went on behind the snapshot */
  bool secure;             /* all keys are there */
  bool again;              /* the last entry has to be written once more */
} ep_journal_found_t;

/* Reads a half and applies its log. An entry counts only if the next readable one is newer. */
static void ep_journal_load(ep_journal_found_t *found, uint32_t half) {
  ep_journal_t *journal = &found->journal;
  ep_journal_entry_t entry, *last = &found->last;
  uint32_t parts = 0, snapshot_end = 0;
  memset(found, 0, sizeof *found);
  journal->half = (uint8_t)half;
  journal->next = EP_HEADERS;
  for (uint32_t index = 0; index < ep_journal_capacity(); index++) {
    ep_flash_state_t state = ep_journal_read(half, index, &entry);
    if (state == EP_FLASH_BLANK) continue;
    if (index >= EP_HEADERS) journal->next = (uint16_t)(index + 1u);
    found->again = true;
    if (state == EP_FLASH_TORN) continue;
    if (index < EP_HEADERS) {
      if (entry.slot > EP_JOURNAL_KEYS) continue; /* no board writes that, whatever its CRC says */
      found->copies++;
      found->outlived = journal->generation = entry.swap_number;
      journal->keys = entry.slot;
      journal->locked = entry.reason != 0u;
      snapshot_end = entry.u.snapshot_end;
      found->security = entry.reason;
    } else if (index < EP_HEADERS + 2u * journal->keys) {
      if (entry.kind != EP_JOURNAL_KEY) continue;
      parts++;
      found->security = ep_crc32(found->security, &entry, sizeof entry);
    } else {
      if (index >= snapshot_end) found->used = true;
      /* Never back: a note that was due in a full half lies in the one that it was compacted into. */
      if (entry.kind == EP_JOURNAL_HEADER && ep_journal_newer(entry.swap_number, found->outlived)) {
        found->outlived = entry.swap_number;
      }
      if (ep_journal_newer(entry.sequence, last->sequence)) ep_journal_apply(journal, last);
      *last = entry;
      found->again = entry.kind != EP_JOURNAL_BOOT;
    }
  }
  ep_journal_apply(journal, last);
  journal->sequence = last->sequence + 1u;
  found->secure = parts == 2u * journal->keys;
}

/* What matters most first. Keys: what they are can't be found out again. Then that the other half has not outlived
 * this one. A header of which only one copy can be read may be a torn commit, but not if the log went on. */
static uint32_t ep_journal_score(const ep_journal_found_t *half, const ep_journal_found_t *other) {
  bool outlived = other->outlived == half->journal.generation;
  if (half->copies == 0u) return 0;
  return 1u + half->secure * 8u + !outlived * 4u + (half->copies == EP_HEADERS || half->used) * 2u;
}

static bool ep_journal_slots_blank(void) {
  const ep_board_map_t *map = ep_board_map();
  return ep_flash_compare(map->slot_address[0], NULL, EP_RECORD_SLOT_SIZE) == EP_OK &&
         ep_flash_compare(map->slot_address[1], NULL, EP_RECORD_SLOT_SIZE) == EP_OK;
}

static void ep_journal_raise(uint32_t *value, uint32_t least) {
  if (*value < least) *value = least;
}

void ep_journal_mount(ep_journal_t *journal) {
  ep_journal_found_t halves[2], *here = &halves[0], *there = &halves[1];
  uint32_t score, other, compactions;
  ep_journal_load(here, 0);
  ep_journal_load(there, 1);
  score = ep_journal_score(here, there);
  other = ep_journal_score(there, here);
  if (other > score ||
      (other == score && ep_journal_newer(there->journal.generation, here->journal.generation))) {
    here = &halves[1];
    there = &halves[0];
  }
  if (here->copies == 0u) {
    /* Nothing there at all: a new board, or one that lost its keys and must not be taken for new. */
    memset(here, 0, sizeof *here);
    here->journal.next = EP_HEADERS;
    here->journal.sequence = 1;
    here->secure = ep_journal_slots_blank();
  }
  *journal = here->journal;
  /* What may never go back doesn't, not even if the newer half is the one to be given up. */
  ep_journal_raise(&journal->kept[EP_KEPT_STATE].u.state.nonce,
                   there->journal.kept[EP_KEPT_STATE].u.state.nonce);
  ep_journal_raise(&journal->kept[EP_KEPT_STATE].u.state.security_version,
                   there->journal.kept[EP_KEPT_STATE].u.state.security_version);
  journal->damaged = here->secure ? EP_OK : EP_ERR_JOURNAL;
  if (journal->damaged) return;
  if (here->again && !EP_DEFECT(LAST_ENTRY_NOT_WRITTEN_AGAIN)) (void)ep_journal_push(journal, &here->last);
  journal->generation = here->outlived;
  if (there->copies != 0u && ep_journal_newer(there->journal.generation, journal->generation)) {
    /* It must stay dead if it becomes readable later, while this one goes on. */
    journal->generation = there->journal.generation;
    (void)ep_journal_note(journal, EP_JOURNAL_HEADER, 0, 0, journal->generation);
  }
  /* Both halves are to be whole and to agree about keys and lock. */
  compactions = here->copies < EP_HEADERS                                                           ? 2u
                : there->copies < EP_HEADERS || here->security != there->security || !there->secure ? 1u
                                                                                                    : 0u;
  for (; compactions > 0u; compactions--) (void)ep_journal_compact(journal, &ep_journal_no_change);
}
