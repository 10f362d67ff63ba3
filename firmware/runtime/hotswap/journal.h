/* The journal: what the board must remember and no slot can hold. Two halves of flash, written in turn
 * (ping-pong); each is a log of 32-byte entries.
 *
 *   0, 1     header, two equal copies, programmed last: a half counts once both can be read
 *   2 ...    two entries a key; lock state and keys are the same in both halves
 *   then     what was live when the half was begun, then whatever happened since
 *
 * A full half is compacted into the other one. A change of keys, or locking, does that twice, so that
 * both halves hold it. Each half begins with an erase, so a torn one is never trusted: its header is missing.
 *
 * An entry counts if three readings agree, its CRC-32 holds, and no entry behind it has the same or a
 * smaller sequence number. The last part is what makes a torn entry stay dead even if it becomes readable
 * later: the entry written after it took the same number. An entry that may itself be half-written (the
 * last one at boot) is written once more before anything is decided by it.
 */
#ifndef EP_HOTSWAP_JOURNAL_H
#define EP_HOTSWAP_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "flash.h"

#define EP_JOURNAL_KEYS    8u  /* room for public keys */
#define EP_JOURNAL_SPENT   32u /* spent packages remembered, the newest ones */
#define EP_JOURNAL_HISTORY 16u /* history entries that survive a compaction at least */
#define EP_JOURNAL_DIGEST  16u /* bytes of a manifest's SHA-512 that name a package */

/* Kinds of entries. 1..15 are those of edgeplug_HistoryKind and show up in the history; some of them
 * also change state, as said behind them. */
typedef enum {
  EP_JOURNAL_BOOT = 1,  /* the state; slot, swap_number: what is about to run; extra: cause of the reset */
  EP_JOURNAL_BEGIN = 2, /* the staging; reason: pages; extra: pages done; data: digest */
  EP_JOURNAL_STAGED = 3,
  EP_JOURNAL_TRIAL = 4,
  EP_JOURNAL_CONFIRMED = 5, /* ends the staging */
  EP_JOURNAL_REJECTED =
      6, /* ends the staging, is a fact about the mark; extra 1: spends the package; data: digest */
  EP_JOURNAL_ROLLBACK = 7,
  EP_JOURNAL_KEY_ADDED = 8,
  EP_JOURNAL_LOCKED = 9,
  EP_JOURNAL_SPENT_CLEARED = 10,
  EP_JOURNAL_DAMAGE = 11,
  EP_JOURNAL_KEY_REMOVED = 12,
  EP_JOURNAL_KEY_REPLACED = 13,
  EP_JOURNAL_UNLOCKED = 14,
  EP_JOURNAL_LAST_HISTORY = 15,
  EP_JOURNAL_HEADER = 16,   /* of a half: swap_number: its generation; slot: keys; reason: locked.
                               In the log: swap_number: generation of the other half that this one has outlived */
  EP_JOURNAL_KEY = 17,      /* reason: role; data: its first half, in the next entry its second */
  EP_JOURNAL_STATE = 18,    /* as BOOT */
  EP_JOURNAL_PROGRESS = 19, /* as BEGIN */
  EP_JOURNAL_FACTS = 20
} ep_journal_kind_t;

#define EP_JOURNAL_SPENDS 1u

/* As it lies in flash; all boards are little endian. */
typedef struct {
  uint8_t kind;
  uint8_t slot;
  uint8_t reason;
  uint8_t extra;
  uint32_t sequence;
  uint32_t swap_number;
  union {
    uint8_t data[16];
    struct {
      uint32_t
          resets; /* watchdog resets of the confirmed agent `swap_number` without 1,000 healthy scans between */
      uint32_t boot_number;
      uint32_t nonce; /* the first half of the last one told: authority.h */
      uint32_t security_version;
    } state;
    struct {          /* about the marks of the record in `slot` with `swap_number`, bits by ep_mark_t */
      uint8_t set;    /* holds, whatever can be read */
      uint8_t absent; /* was torn and does not hold, whatever may be read later */
      uint8_t reason; /* of a rejection in `set` */
    } facts;
    uint32_t snapshot_end; /* of a header: index behind the snapshot */
  } u;
  uint32_t crc; /* over the 28 bytes before */
} ep_journal_entry_t;

/* The newest entry of each kind that carries state is kept in RAM. */
typedef enum {
  EP_KEPT_STATE,
  EP_KEPT_FACTS,       /* two: slot A, slot B */
  EP_KEPT_STAGING = 3, /* kind 0: none */
  EP_KEPT_REJECTED,    /* the last rejection */
  EP_KEPT_COUNT
} ep_journal_kept_t;

typedef struct {
  ep_flash_t flash;
  uint32_t generation;
  uint32_t sequence; /* of the next entry */
  uint16_t next;     /* index of the next entry */
  uint8_t half;      /* in use */
  uint8_t keys;      /* how many */
  bool locked;
  /* EP_OK, or no valid copy was left: nothing is written any more, and the board counts as locked. EP_ERR_JOURNAL;
   * the boot turns that into EP_ERR_OPTION_BYTES where the board leaves its flash alone altogether. */
  int damaged;
  ep_journal_entry_t kept[EP_KEPT_COUNT];
} ep_journal_t;

#define EP_JOURNAL_LOCK   1u
#define EP_JOURNAL_UNLOCK 2u

/* What a compaction is to change. All zeros: nothing. */
typedef struct {
  const uint8_t *add_key; /* 32 bytes; becomes the last one */
  uint8_t add_role;
  uint8_t drop; /* the key that goes, counted from 1. With add_key: both or neither */
  uint8_t lock; /* EP_JOURNAL_LOCK or EP_JOURNAL_UNLOCK */
  bool clear;   /* spent packages: all, or the one named by clear_digest */
  const uint8_t *clear_digest;
} ep_journal_change_t;

/* Finds the newest good half, replays it, repairs what a cut left behind; formats a board whose flash is blank.
 * If neither half is good and a slot isn't blank: `damaged`. */
void ep_journal_mount(ep_journal_t *journal);

/* Applies an entry to what is kept and writes it; `sequence` and `crc` are filled in. EP_OK, `damaged`
 * or the flash's error. */
int ep_journal_write(ep_journal_t *journal, ep_journal_entry_t *entry);

/* Writes an entry without data. */
int ep_journal_note(ep_journal_t *journal, uint32_t kind, uint32_t slot, uint32_t reason,
                    uint32_t swap_number);

/* Writes what is kept, as it now stands in the context, as an entry of `kind`. */
int ep_journal_save(ep_journal_t *journal, uint32_t kept, uint32_t kind);

/* Compacts with a change, into both halves unless it clears spent packages. */
int ep_journal_change(ep_journal_t *journal, const ep_journal_change_t *change);

/* Goes through the log from the newest entry to the oldest. */
typedef struct {
  uint32_t index;
  uint32_t sequence;
} ep_journal_cursor_t;
void ep_journal_newest(const ep_journal_t *journal, ep_journal_cursor_t *cursor);
bool ep_journal_previous(const ep_journal_t *journal, ep_journal_cursor_t *cursor, ep_journal_entry_t *entry);

/* Whether the entry spends a package, the one named by its data. */
bool ep_journal_spends(const ep_journal_entry_t *entry);
bool ep_journal_is_spent(const ep_journal_t *journal, const uint8_t digest[EP_JOURNAL_DIGEST]);

/* Reads key `index`; returns its role, or 0 if it can't be read. */
uint32_t ep_journal_key(const ep_journal_t *journal, uint32_t index, uint8_t key[32]);

#endif
