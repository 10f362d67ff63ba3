/* Keys and the lock: who may sign what, and whether a signature is asked for. */
#include <string.h>

#include "core/board.h"
#include "crypto/ed25519.h"
#include "defects.h"
#include "engine.h"
#include "errors.h"

static void ep_keys_step(void *context) {
  (void)context;
  ep_board_work(EP_WORK_ED25519_STEP);
}

typedef struct {
  uint8_t bytes[32];
  uint8_t role;
  uint8_t place; /* counted from 1 */
} ep_key_t;

/* Finds the key that goes by this name, whatever its role. */
static bool ep_keys_find(const ep_journal_t *journal, const uint8_t id[EP_RECORD_KEY_ID_SIZE],
                         ep_key_t *key) {
  uint8_t name[EP_JOURNAL_DIGEST];
  for (uint32_t index = 0; index < journal->keys; index++) {
    key->role = (uint8_t)ep_journal_key(journal, index, key->bytes);
    key->place = (uint8_t)(index + 1u);
    ep_record_name(key->bytes, sizeof key->bytes, name);
    if (key->role != 0u && memcmp(name, id, EP_RECORD_KEY_ID_SIZE) == 0) return true;
  }
  return false;
}

/* How many keys have this role. */
static uint32_t ep_keys_count(const ep_journal_t *journal, uint32_t role) {
  uint32_t count = 0;
  uint8_t key[32];
  for (uint32_t index = 0; index < journal->keys; index++)
    count += ep_journal_key(journal, index, key) == role;
  return count;
}

int ep_keys_verify(const ep_journal_t *journal, uint32_t role, const uint8_t *key_id, uint32_t size) {
  ep_key_t key;
  if (!ep_keys_find(journal, key_id, &key)) return EP_ERR_KEY_UNKNOWN;
  if (key.role != role) return EP_ERR_KEY_ROLE;
  return ep_ed25519_verify(key_id + EP_RECORD_KEY_ID_SIZE, key.bytes, key_id + EP_KEYS_MESSAGE, size,
                           ep_keys_step, NULL) == 0
             ? EP_OK
             : EP_ERR_SIGNATURE;
}

bool ep_hotswap_locked(const ep_hotswap_t *engine) {
  const ep_journal_t *journal = &engine->journal;
  return (journal->locked | (EP_DEFECT(LOCK_FAILS_OPEN) ? 0 : journal->damaged)) != 0;
}

static int ep_keys_change(ep_hotswap_t *engine, const ep_journal_change_t *change, ep_journal_kind_t kind) {
  int error = ep_journal_change(&engine->journal, change);
  if (error == EP_OK) (void)ep_journal_note(&engine->journal, kind, 0, 0, 0);
  /* A session was let in by the keys and the lock of before. It begins anew, and what was received is resumed. */
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_IDLE &&
      engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    (void)ep_engine_drop(engine, EP_OK);
  }
  return error;
}

/* Replaces the key called `old` by the one of `bytes`: adds one if there is no old one, removes one if there is no
 * new one. */
static int ep_keys_put(ep_hotswap_t *engine, const uint8_t *old, const uint8_t *bytes, uint8_t role) {
  const ep_journal_t *journal = &engine->journal;
  ep_journal_change_t change = {.add_key = bytes};
  uint8_t name[EP_JOURNAL_DIGEST];
  ep_key_t key;
  if (old != NULL) {
    if (!ep_keys_find(journal, old, &key)) return EP_ERR_KEY_UNKNOWN;
    change.drop = key.place;
    role = key.role;
  }
  if (bytes == NULL) {
    if (ep_keys_count(journal, role) == 1u && !EP_DEFECT(LAST_KEY_REMOVABLE)) return EP_ERR_LAST_KEY;
  } else {
    ep_record_name(bytes, 32, name);
    if (ep_keys_find(journal, name, &key) && key.place != change.drop) {
      /* One key, one role: an operator's key never signs a manifest. */
      if (key.role != role) return EP_ERR_KEY_ROLE;
      if (old == NULL) return EP_OK;
      change.add_key = NULL;
    } else if (old == NULL && journal->keys == EP_JOURNAL_KEYS) {
      return EP_ERR_KEYS_FULL;
    }
  }
  change.add_role = role;
  if (EP_DEFECT(REPLACED_IN_TWO_STEPS) && change.drop != 0u && change.add_key != NULL) {
    change.add_key = NULL;
    (void)ep_journal_change(&engine->journal, &change);
    change.add_key = bytes;
    change.drop = 0;
  }
  return ep_keys_change(engine, &change,
                        old == NULL     ? EP_JOURNAL_KEY_ADDED
                        : bytes == NULL ? EP_JOURNAL_KEY_REMOVED
                                        : EP_JOURNAL_KEY_REPLACED);
}

int ep_engine_add_key(ep_hotswap_t *engine, const edgeplug_AddKey *key) {
  if ((uint32_t)key->role - 1u > 1u) return EP_ERR_BAD_REQUEST;
  return ep_keys_put(engine, NULL, key->public_key, (uint8_t)key->role);
}

int ep_engine_remove_key(ep_hotswap_t *engine, const edgeplug_RemoveKey *key) {
  return ep_keys_put(engine, key->key_id, NULL, 0);
}

int ep_engine_replace_key(ep_hotswap_t *engine, const edgeplug_ReplaceKey *key) {
  return ep_keys_put(engine, key->key_id, key->public_key, 0);
}

int ep_engine_lock(ep_hotswap_t *engine) {
  const ep_journal_change_t change = {.lock = EP_JOURNAL_LOCK};
  const ep_journal_t *journal = &engine->journal;
  ep_record_t record;
  if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  if (ep_keys_count(journal, edgeplug_KeyRole_KEY_ROLE_PUBLISHER) == 0u ||
      ep_keys_count(journal, edgeplug_KeyRole_KEY_ROLE_OPERATOR) == 0u) {
    return EP_ERR_LOCK_REFUSED;
  }
  for (uint32_t slot = 0; slot < 2u; slot++) {
    ep_record_read(journal, slot, &record);
    if ((record.state == edgeplug_SlotState_SLOT_STATE_TRIAL ||
         (record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u) &&
        ep_keys_verify(journal, edgeplug_KeyRole_KEY_ROLE_PUBLISHER, record.header.key_id,
                       record.header.manifest_length) != EP_OK) {
      return EP_ERR_LOCK_REFUSED;
    }
  }
  return ep_keys_change(engine, &change, EP_JOURNAL_LOCKED);
}

int ep_engine_unlock(ep_hotswap_t *engine) {
  const ep_journal_change_t change = {.lock = EP_JOURNAL_UNLOCK};
  if (!engine->journal.locked) return EP_OK;
  return ep_keys_change(engine, &change, EP_JOURNAL_UNLOCKED);
}

int ep_engine_clear_spent(ep_hotswap_t *engine, const edgeplug_ClearSpent *clear) {
  ep_journal_change_t change = {.clear = true};
  if (clear->digest.size != 0u) {
    if (clear->digest.size != EP_JOURNAL_DIGEST) return EP_ERR_BAD_REQUEST;
    change.clear_digest = clear->digest.bytes;
  }
  return ep_keys_change(engine, &change, EP_JOURNAL_SPENT_CLEARED);
}
