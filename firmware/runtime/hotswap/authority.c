#include "authority.h"

#include <stddef.h>
#include <string.h>

#include <pb_decode.h>

#include "core/board.h"
#include "crypto/crc32.h"
#include "defects.h"
#include "engine.h"
#include "errors.h"

#define EP_LABEL "EdgePlug command v1" /* its final zero is signed too */

/* What may come signed. */
#define EP_AUTHORITY_COMMANDS                                                                                \
  (1u << edgeplug_Request_confirm_tag | 1u << edgeplug_Request_rollback_tag |                                \
   1u << edgeplug_Request_abort_tag | 1u << edgeplug_Request_clear_spent_tag |                               \
   1u << edgeplug_Request_add_key_tag | 1u << edgeplug_Request_remove_key_tag |                              \
   1u << edgeplug_Request_replace_key_tag | 1u << edgeplug_Request_unlock_tag |                              \
   1u << edgeplug_Request_allow_downgrade_tag)

/* As ep_keys_verify() takes it. */
typedef struct {
  uint8_t key_id[EP_RECORD_KEY_ID_SIZE];
  uint8_t signature[EP_RECORD_SIGNATURE_SIZE];
  struct {
    char label[sizeof EP_LABEL];
    uint8_t board_id[EP_BOARD_ID_SIZE];
    uint32_t nonce[2];
    uint8_t command[sizeof((edgeplug_SignedCommand *)NULL)->command.bytes];
  } message;
} ep_authority_signed_t;

_Static_assert(edgeplug_Request_allow_downgrade_tag < 32, "commands fit into a word");
_Static_assert(offsetof(ep_authority_signed_t, message) == EP_KEYS_MESSAGE &&
                   offsetof(ep_authority_signed_t, message.command) == EP_KEYS_MESSAGE + 40u,
               "what is signed lies there without gaps");

int ep_hotswap_challenge(ep_hotswap_t *engine, edgeplug_Challenge *challenge) {
  ep_authority_t *authority = &engine->authority;
  ep_journal_entry_t *state = &engine->journal.kept[EP_KEPT_STATE];
  uint32_t *nonce = authority->nonce;
  /* The first one since the boot, or as many as one journaled counter is good for. */
  if (nonce[1] + 1u <= 1u) {
    int error;
    nonce[1] = 0;
    /* Boots are counted by another entry: should the one that counted the last nonce be lost, they still tell. */
    nonce[0] = state->u.state.nonce;
    if (nonce[0] < state->u.state.boot_number) nonce[0] = state->u.state.boot_number;
    if (++nonce[0] == 0u) return EP_ERR_NONCES;
    state->u.state.nonce = nonce[0];
    error = EP_DEFECT(NONCE_NOT_JOURNALED)
                ? EP_OK
                : ep_journal_save(&engine->journal, EP_KEPT_STATE, EP_JOURNAL_STATE);
    if (error != EP_OK) return error;
  }
  nonce[1]++;
  authority->used = false;
  memcpy(challenge->nonce, nonce, sizeof challenge->nonce);
  return EP_OK;
}

/* Decodes a command of `size` bytes, zeros behind them. It has to be one field and nothing before or behind that: a
 * second body, an id or bytes of no meaning are not what an operator was shown. */
static bool ep_authority_decode(const uint8_t *command, uint32_t size, edgeplug_Request *request) {
  pb_istream_t stream = pb_istream_from_buffer(command, size);
  uint32_t tag =
      1u + (command[0] >> 7); /* bytes that it takes: fields from 16 to 31 have a second one, which is 1 */
  if ((command[0] & 7u) != PB_WT_STRING || command[tag] != size - tag - 1u ||
      (tag == 2u && command[1] != 1u)) {
    return false;
  }
  return pb_decode(&stream, edgeplug_Request_fields, request) &&
         (EP_AUTHORITY_COMMANDS >> request->which_body & 1u) != 0u;
}

/* The commands themselves; nobody asks for authority any more. */
static int ep_authority_carry_out(ep_hotswap_t *engine, const edgeplug_Request *request) {
  switch (request->which_body) {
  case edgeplug_Request_activate_tag: return ep_engine_activate(engine);
  case edgeplug_Request_shadow_tag: return ep_engine_shadow(engine, &request->body.shadow);
  case edgeplug_Request_confirm_tag: return ep_engine_confirm(engine);
  case edgeplug_Request_rollback_tag:
    return ep_engine_rollback(engine, request->body.rollback.allow_downgrade);
  case edgeplug_Request_abort_tag: return ep_engine_abort(engine);
  case edgeplug_Request_clear_spent_tag: return ep_engine_clear_spent(engine, &request->body.clear_spent);
  case edgeplug_Request_add_key_tag: return ep_engine_add_key(engine, &request->body.add_key);
  case edgeplug_Request_remove_key_tag: return ep_engine_remove_key(engine, &request->body.remove_key);
  case edgeplug_Request_replace_key_tag: return ep_engine_replace_key(engine, &request->body.replace_key);
  case edgeplug_Request_lock_tag: return ep_engine_lock(engine);
  case edgeplug_Request_unlock_tag: return ep_engine_unlock(engine);
  case edgeplug_Request_allow_downgrade_tag:
    memcpy(engine->authority.grant, request->body.allow_downgrade.digest, EP_JOURNAL_DIGEST);
    return EP_OK;
  default: return EP_ERR_UNSUPPORTED;
  }
}

static int ep_authority_signed(ep_hotswap_t *engine, edgeplug_Request *request) {
  ep_authority_t *authority = &engine->authority;
  const edgeplug_SignedCommand *command = &request->body.signed_command;
  uint32_t size = command->command.size, crc = ep_crc32(0, command, sizeof *command);
  ep_authority_signed_t is;
  int error;
  if (authority->nonce[1] == 0u || memcmp(command->nonce, authority->nonce, sizeof command->nonce) != 0) {
    return EP_ERR_NONCE;
  }
  if (authority->used && !EP_DEFECT(COMMAND_DONE_TWICE)) {
    return crc == authority->done ? authority->answer : EP_ERR_NONCE;
  }
  memcpy(is.key_id, command->key_id, sizeof is.key_id);
  memcpy(is.signature, command->signature, sizeof is.signature);
  memcpy(is.message.label, EP_LABEL, sizeof is.message.label);
  ep_board_id(is.message.board_id);
  memcpy(is.message.nonce, command->nonce, sizeof is.message.nonce);
  memcpy(is.message.command, command->command.bytes, sizeof is.message.command);
  error = ep_keys_verify(&engine->journal, edgeplug_KeyRole_KEY_ROLE_OPERATOR, is.key_id, 40u + size);
  if (error != EP_OK) return error;
  authority->used = true;
  authority->done = crc;
  authority->answer = ep_authority_decode(is.message.command, size, request)
                          ? ep_authority_carry_out(engine, request)
                          : EP_ERR_BAD_REQUEST;
  return authority->answer;
}

/* Dropping what is being received does no harm, and whoever sends it may: a trial is another matter. */
static bool ep_authority_is_needed(const ep_hotswap_t *engine, uint32_t tag) {
  if (tag == edgeplug_Request_abort_tag && engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
    return false;
  }
  return ep_hotswap_locked(engine) && (EP_AUTHORITY_COMMANDS >> tag & 1u) != 0u;
}

int ep_hotswap_command(ep_hotswap_t *engine, edgeplug_Request *request) {
  if (request->which_body == edgeplug_Request_signed_command_tag) return ep_authority_signed(engine, request);
  if (ep_authority_is_needed(engine, request->which_body)) return EP_ERR_LOCKED;
  return ep_authority_carry_out(engine, request);
}
