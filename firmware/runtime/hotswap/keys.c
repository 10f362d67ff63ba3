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

/* Finds the publisher's key that the record names. */
static bool ep_keys_find(const ep_journal_t *journal, const ep_record_header_t *header, uint8_t key[32]) {
  uint8_t name[EP_JOURNAL_DIGEST];
  for (uint32_t index = 0; index < journal->keys; index++) {
    if (ep_journal_key(journal, index, key) != edgeplug_KeyRole_KEY_ROLE_PUBLISHER) continue;
    ep_record_name(key, 32, name);
    if (memcmp(name, header->key_id, EP_RECORD_KEY_ID_SIZE) == 0) return true;
  }
  return false;
}

int ep_keys_verify(const ep_journal_t *journal, const ep_record_header_t *header) {
  uint8_t key[32];
  if (!ep_keys_find(journal, header, key)) return EP_ERR_KEY_UNKNOWN;
  return ep_ed25519_verify(header->signature, key, header->manifest, header->manifest_length, ep_keys_step,
                           NULL) == 0
             ? EP_OK
             : EP_ERR_SIGNATURE;
}

bool ep_hotswap_locked(const ep_hotswap_t *engine) {
  return engine->journal.locked || (engine->journal.damaged && !EP_DEFECT(LOCK_FAILS_OPEN));
}

static int ep_keys_change(ep_hotswap_t *engine, const ep_journal_change_t *change, ep_journal_kind_t kind) {
  int error = ep_journal_change(&engine->journal, change);
  if (error == EP_OK) (void)ep_journal_note(&engine->journal, kind, 0, 0, 0);
  return error;
}

int ep_hotswap_add_key(ep_hotswap_t *engine, const edgeplug_AddKey *key) {
  const ep_journal_change_t change = {.add_key = key->public_key, .add_role = (uint8_t)key->role};
  uint8_t present[32];
  if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  if ((uint32_t)key->role - 1u > 1u) return EP_ERR_BAD_REQUEST;
  for (uint32_t index = 0; index < engine->journal.keys; index++) {
    uint32_t role = ep_journal_key(&engine->journal, index, present);
    /* One key, one role: an operator's key never signs a manifest. */
    if (memcmp(present, key->public_key, sizeof present) == 0) {
      return role == (uint32_t)key->role ? EP_OK : EP_ERR_BAD_REQUEST;
    }
  }
  if (engine->journal.keys == EP_JOURNAL_KEYS) return EP_ERR_KEYS_FULL;
  return ep_keys_change(engine, &change, EP_JOURNAL_KEY_ADDED);
}

int ep_hotswap_lock(ep_hotswap_t *engine) {
  const ep_journal_change_t change = {.lock = true};
  uint8_t key[32];
  ep_record_t record;
  uint32_t roles = 0;
  if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  for (uint32_t index = 0; index < engine->journal.keys; index++) {
    roles |= 1u << ep_journal_key(&engine->journal, index, key);
  }
  if ((roles & 6u) != 6u) return EP_ERR_LOCK_REFUSED;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    ep_record_read(&engine->journal, slot, &record);
    if ((record.marks.set & EP_MARK_BIT(EP_MARK_CONFIRMED)) != 0u &&
        ep_keys_verify(&engine->journal, &record.header) != EP_OK) {
      return EP_ERR_LOCK_REFUSED;
    }
  }
  return ep_keys_change(engine, &change, EP_JOURNAL_LOCKED);
}

int ep_hotswap_clear_spent(ep_hotswap_t *engine, const uint8_t *digest, uint32_t size) {
  const ep_journal_change_t change = {.clear = true, .clear_digest = size != 0u ? digest : NULL};
  if (ep_hotswap_locked(engine)) return EP_ERR_LOCKED;
  if (size != 0u && size != EP_JOURNAL_DIGEST) return EP_ERR_BAD_REQUEST;
  return ep_keys_change(engine, &change, EP_JOURNAL_SPENT_CLEARED);
}
