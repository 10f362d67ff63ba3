/* Requests, as protobuf messages or by what they mean, to a board in any state, with scans, resets and bad flash in
 * between.
 *
 * Input: the state, then operations of a byte and what it takes (see `operate`). A host that behaves takes two or three
 * bytes a step, so a whole update fits in ten.
 */
#include <stddef.h>
#include <string.h>

#include <pb_decode.h>
#include <pb_encode.h>

#include "crypto/sha512.h"
#include "fuzz.h"
#include "states.h"

#define MOST_OPERATIONS 24u

/* What a locked board takes from an operator only; abort depends. */
#define NEEDS_AUTHORITY                                                                                      \
  (1u << edgeplug_Request_confirm_tag | 1u << edgeplug_Request_rollback_tag |                                \
   1u << edgeplug_Request_clear_spent_tag | 1u << edgeplug_Request_add_key_tag |                             \
   1u << edgeplug_Request_lock_tag | 1u << edgeplug_Request_remove_key_tag |                                 \
   1u << edgeplug_Request_replace_key_tag | 1u << edgeplug_Request_unlock_tag |                              \
   1u << edgeplug_Request_allow_downgrade_tag)

static edgeplug_Request request;
static edgeplug_Request signed_last; /* sent last, for a replay */
static fuzz_package_t package;       /* announced last */
static uint8_t nonce[8];             /* told last */
static bool may_open;                /* an operator may have signed an unlock */
static bool harmed;                  /* flash has failed: what was in one half only may be gone */

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  fuzz_states_make();
  return 0;
}

static uint32_t send(pb_size_t tag) {
  bool refused = ep_hotswap_locked(&ep_runtime.hotswap) && (NEEDS_AUTHORITY >> tag & 1u) != 0u;
  uint32_t error;
  request.which_body = tag;
  error = fuzz_board_request(&request)->response.error;
  if (refused) FUZZ_CHECK(error == (uint32_t)-EP_ERR_LOCKED);
  return error;
}

/* A package of ours: as it is, signed by a key, or with some of it changed before or after it is signed. */
static void begin(fuzz_input_t *input) {
  uint32_t how = fuzz_u8(input);
  package = *fuzz_package(how & 7u);
  if ((how & 0x20u) != 0u) {
    package.manifest.release = fuzz_u8(input);
    package.manifest.security_version = fuzz_u8(input) & 3u;
    (void)fuzz_package_encode(&package);
  }
  if ((how & 8u) != 0u) fuzz_package_sign(&package.begin, fuzz_key(how >> 4 & 1u));
  if ((how & 0x40u) != 0u) {
    uint32_t at = fuzz_u16(input);
    package.begin.manifest.bytes[at % package.begin.manifest.size] ^= (uint8_t)fuzz_u8(input);
  }
  package.begin.allow_downgrade = (how & 0x80u) != 0u;
  request.body.begin = package.begin;
  (void)send(edgeplug_Request_begin_tag);
}

/* What the board expects next, in chunks of a size. */
static void chunk_expected(fuzz_input_t *input) {
  uint32_t most = 2u * fuzz_u8(input) + 1u, offset = ep_runtime.hotswap.next_offset;
  edgeplug_Chunk *chunk = &request.body.chunk;
  if (offset >= package.size) return;
  chunk->offset = offset;
  if (most > package.size - offset) most = package.size - offset;
  chunk->data.size = (pb_size_t)most;
  memcpy(chunk->data.bytes, package.payload + offset, most);
  (void)send(edgeplug_Request_chunk_tag);
}

static void chunk_any(fuzz_input_t *input) {
  edgeplug_Chunk *chunk = &request.body.chunk;
  uint32_t size;
  const uint8_t *bytes;
  chunk->offset = fuzz_u16(input);
  if (chunk->offset >= 0xFF00u) chunk->offset |= 0xFFFF0000u;
  bytes = fuzz_bytes(input, fuzz_u8(input), &size);
  memset(chunk->data.bytes, 0x11, sizeof chunk->data.bytes);
  memcpy(chunk->data.bytes, bytes, size);
  chunk->data.size = (pb_size_t)(size * 2u <= sizeof chunk->data.bytes ? size * 2u : size);
  (void)send(edgeplug_Request_chunk_tag);
}

static void call(fuzz_input_t *input) {
  uint32_t size;
  const uint8_t *bytes = fuzz_bytes(input, fuzz_u8(input), &size);
  memcpy(request.body.call.data.bytes, bytes, size);
  request.body.call.data.size = (pb_size_t)size;
  (void)send(edgeplug_Request_call_tag);
}

/* A run that a host may want, or one of nonsense: any float is a tolerance here. */
static void shadow(fuzz_input_t *input) {
  edgeplug_Shadow *wanted = &request.body.shadow;
  uint32_t how = fuzz_u8(input), size;
  const uint8_t *bytes;
  wanted->scans = how & 15u;
  if (wanted->scans == 15u) wanted->scans = 0xFFFFFFFFu;
  wanted->allowed = how >> 4 & 3u;
  if (wanted->allowed == 3u) wanted->allowed = 0xFFFFFFFFu;
  if ((how & 0x80u) != 0u) {
    bytes = fuzz_bytes(input, 4u * (fuzz_u8(input) % 7u), &size);
    memcpy(wanted->tolerance, bytes, size & ~3u);
    wanted->tolerance_count = (pb_size_t)(size / 4u);
  }
  if (send(edgeplug_Request_shadow_tag) != 0u) return;
  FUZZ_CHECK(wanted->scans != 0u);
  for (uint32_t index = 0; index < wanted->tolerance_count; index++)
    FUZZ_CHECK(wanted->tolerance[index] >= 0.0f);
}

/* Whatever was asked for, the report's figures fit together and with the phase. */
static void check_shadow(void) {
  const edgeplug_ShadowReport *report = ep_agent_shadow_report(&ep_runtime.agents);
  FUZZ_CHECK(report->differing <= report->compared && report->compared <= report->needed);
  FUZZ_CHECK(report->first_count <= sizeof report->first / sizeof report->first[0]);
  FUZZ_CHECK((report->state == edgeplug_ShadowState_SHADOW_STATE_RUNNING) ==
             (ep_runtime.agents.shadow.bank != NULL));
  FUZZ_CHECK(report->state != edgeplug_ShadowState_SHADOW_STATE_RUNNING ||
             ep_runtime.hotswap.phase == edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
}

static void read_slot(fuzz_input_t *input) {
  request.body.read_slot.slot = fuzz_u8(input) & 3u;
  request.body.read_slot.offset = fuzz_u16(input);
  request.body.read_slot.size = fuzz_u16(input) & 0x3FFu;
  (void)send(edgeplug_Request_read_slot_tag);
}

static void key_id(uint32_t number, uint8_t id[8]) {
  uint8_t digest[EP_SHA512_SIZE];
  ep_sha512_t sha;
  ep_sha512_init(&sha);
  ep_sha512_update(&sha, fuzz_key(number), 32);
  ep_sha512_final(&sha, digest);
  memcpy(id, digest, 8);
}

static void fill_add_key(fuzz_input_t *input) {
  uint32_t key = fuzz_u8(input);
  request.which_body = edgeplug_Request_add_key_tag;
  request.body.add_key.role = (edgeplug_KeyRole)(key >> 4 & 3u);
  memcpy(request.body.add_key.public_key, fuzz_key(key), 32);
}

static void fill_remove_key(fuzz_input_t *input) {
  request.which_body = edgeplug_Request_remove_key_tag;
  key_id(fuzz_u8(input), request.body.remove_key.key_id);
}

static void fill_replace_key(fuzz_input_t *input) {
  uint32_t keys = fuzz_u8(input);
  request.which_body = edgeplug_Request_replace_key_tag;
  key_id(keys, request.body.replace_key.key_id);
  memcpy(request.body.replace_key.public_key, fuzz_key(keys >> 4), 32);
}

static void fill_clear_spent(fuzz_input_t *input) {
  uint32_t size;
  const uint8_t *bytes = fuzz_bytes(input, fuzz_u8(input) % 17u, &size);
  request.which_body = edgeplug_Request_clear_spent_tag;
  memcpy(request.body.clear_spent.digest.bytes, bytes, size);
  request.body.clear_spent.digest.size = (pb_size_t)size;
}

/* The grant for one of our packages, as a Begin would announce it. */
static void fill_allow_downgrade(fuzz_input_t *input) {
  const edgeplug_Begin *begin = &fuzz_package(fuzz_u8(input) & 7u)->begin;
  request.which_body = edgeplug_Request_allow_downgrade_tag;
  ep_record_name(begin->manifest.bytes, begin->manifest.size, request.body.allow_downgrade.digest);
}

static void challenge(void) {
  const edgeplug_Response *response = &fuzz_board_ask(edgeplug_Request_challenge_tag)->response;
  if (response->error != 0u) return;
  FUZZ_CHECK(harmed || memcmp(nonce, response->body.challenge.nonce, sizeof nonce) != 0);
  memcpy(nonce, response->body.challenge.nonce, sizeof nonce);
}

/* The bytes of a command: one of those that there are, or any. */
static uint32_t make_command(fuzz_input_t *input, uint32_t which, uint8_t bytes[64]) {
  pb_ostream_t stream = pb_ostream_from_buffer(bytes, 64);
  uint32_t size;
  const uint8_t *any;
  switch (which) {
  case 0: request.which_body = edgeplug_Request_confirm_tag; break;
  case 1:
    request.which_body = edgeplug_Request_rollback_tag;
    request.body.rollback.allow_downgrade = (fuzz_u8(input) & 1u) != 0u;
    break;
  case 2: request.which_body = edgeplug_Request_abort_tag; break;
  case 3: fill_clear_spent(input); break;
  case 4: fill_add_key(input); break;
  case 5: fill_remove_key(input); break;
  case 6: fill_replace_key(input); break;
  case 7: request.which_body = edgeplug_Request_unlock_tag; break;
  case 8: fill_allow_downgrade(input); break;
  default:
    any = fuzz_bytes(input, fuzz_u8(input) & 63u, &size);
    memcpy(bytes, any, size);
    return size;
  }
  return pb_encode(&stream, edgeplug_Request_fields, &request) ? (uint32_t)stream.bytes_written : 0u;
}

/* A command in an operator's name: signed by some key, as it is or with a byte of it changed afterwards; or the last one
 * again. What is not signed well is told so. */
static void signed_command(fuzz_input_t *input) {
  uint32_t how = fuzz_u8(input), key, size, error;
  edgeplug_SignedCommand *command = &request.body.signed_command;
  uint8_t message[40 + sizeof command->command.bytes] = "EdgePlug command v1";
  if ((how & 0x40u) != 0u) {
    request = signed_last;
    may_open = true;
    (void)fuzz_board_request(&request);
    return;
  }
  if ((how & 0x80u) != 0u) challenge();
  size = make_command(input, how & 15u, message + 40);
  may_open |= (how & 15u) == 7u || (how & 15u) > 8u;
  key = (how & 0x10u) != 0u ? fuzz_u8(input) : 1u;
  memset(&request, 0, sizeof request);
  request.which_body = edgeplug_Request_signed_command_tag;
  ep_board_id(message + 20);
  memcpy(message + 32, nonce, sizeof nonce);
  memcpy(command->command.bytes, message + 40, size);
  command->command.size = (pb_size_t)size;
  memcpy(command->nonce, nonce, sizeof nonce);
  key_id(key, command->key_id);
  fuzz_sign(command->signature, fuzz_key(key), message, 40u + size);
  if ((how & 0x20u) != 0u) {
    uint32_t at = fuzz_u8(input) % (size + 80u);
    uint8_t *byte = at < size ? &command->command.bytes[at]
                              : (uint8_t *)command + offsetof(edgeplug_SignedCommand, nonce) + (at - size);
    *byte ^= (uint8_t)(1u + fuzz_u8(input) % 255u);
  }
  signed_last = request;
  error = fuzz_board_request(&request)->response.error;
  if ((how & 0x20u) == 0u) return;
  FUZZ_CHECK(error == (uint32_t)-EP_ERR_NONCE || error == (uint32_t)-EP_ERR_KEY_UNKNOWN ||
             error == (uint32_t)-EP_ERR_KEY_ROLE || error == (uint32_t)-EP_ERR_SIGNATURE);
}

/* Any bytes as a message: if it is a request it is answered, if not it is dropped, and never both. */
static void message(fuzz_input_t *input) {
  static edgeplug_Frame frame;
  uint32_t length = 2u * fuzz_u8(input), size, dropped = ep_runtime.server.receiver.dropped;
  const uint8_t *bytes = fuzz_bytes(input, length, &size);
  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  bool good = size > 0u && pb_decode(&stream, edgeplug_Frame_fields, &frame) &&
              frame.which_body == edgeplug_Frame_request_tag;
  fuzz_board_message(bytes, size);
  FUZZ_CHECK(fuzz_board_reply()->responses == (good ? 1u : 0u));
  FUZZ_CHECK(ep_runtime.server.receiver.dropped == dropped + (good ? 0u : 1u));
}

/* Flash that rots, or fails to be read now and then. */
static void damage(fuzz_input_t *input) {
  uint32_t how = fuzz_u8(input), at = fuzz_u16(input) % FLASH_SIZE;
  harmed = true;
  if (how < 0x80u) {
    fuzz_board_flash()->fail_read = 1u + how;
  } else if (how < 0xC0u) {
    flash_rot(fuzz_board_flash(), at, how & 7u);
  } else {
    flash_break_unit(fuzz_board_flash(), at);
  }
}

static void operate(fuzz_input_t *input) {
  static const pb_size_t plain[] = {edgeplug_Request_hello_tag,    edgeplug_Request_status_tag,
                                    edgeplug_Request_spent_tag,    edgeplug_Request_list_keys_tag,
                                    edgeplug_Request_activate_tag, edgeplug_Request_confirm_tag,
                                    edgeplug_Request_abort_tag,    edgeplug_Request_lock_tag};
  static void (*const fills[])(fuzz_input_t *) = {fill_add_key, fill_clear_spent, fill_remove_key,
                                                  fill_replace_key, fill_allow_downgrade};
  uint32_t operation = fuzz_u8(input) % 34u;
  memset(&request, 0, sizeof request);
  switch (operation) {
  case 8: begin(input); break;
  case 9: chunk_expected(input); break;
  case 10: chunk_any(input); break;
  case 11: call(input); break;
  case 12: read_slot(input); break;
  case 13:
  case 14:
  case 24:
  case 25:
  case 26:
    fills[operation < 24u ? operation - 13u : operation - 22u](input);
    (void)send(request.which_body);
    break;
  case 15: message(input); break;
  case 16:
    request.body.rollback.allow_downgrade = (fuzz_u8(input) & 1u) != 0u;
    (void)send(edgeplug_Request_rollback_tag);
    break;
  case 17:
    request.body.history.before = fuzz_u8(input);
    (void)send(edgeplug_Request_history_tag);
    break;
  case 18:
    request.body.slot.slot = fuzz_u8(input) & 3u;
    (void)send(edgeplug_Request_slot_tag);
    break;
  case 19:
  case 20: fuzz_board_run(1u + fuzz_u8(input) % 64u); break;
  case 21: fuzz_board_boot((ep_reset_cause_t)(fuzz_u8(input) & 3u)); break;
  case 22: fuzz_board_pass((fuzz_u8(input) & 1u) != 0u ? 31000000u : 2000u); break;
  case 23: damage(input); break;
  case 27: challenge(); break;
  case 28: (void)send(edgeplug_Request_unlock_tag); break;
  case 29:
  case 30:
  case 31: signed_command(input); break;
  case 32: shadow(input); break;
  case 33: (void)fuzz_board_ask(edgeplug_Request_shadow_report_tag); break;
  default: (void)fuzz_board_ask(plain[operation]); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input_t input = {data, data + size};
  fuzz_board_restore(fuzz_state(fuzz_u8(&input)));
  package = *fuzz_package(FUZZ_CONTROL_NEXT);
  harmed = false;
  memset(nonce, 0, sizeof nonce);
  memset(&signed_last, 0, sizeof signed_last);
  signed_last.which_body = edgeplug_Request_signed_command_tag;
  for (uint32_t count = 0; fuzz_more(&input) && count < MOST_OPERATIONS; count++) {
    bool locked = ep_hotswap_locked(&ep_runtime.hotswap);
    may_open = harmed;
    operate(&input);
    check_shadow();
    FUZZ_CHECK(!locked || may_open || ep_hotswap_locked(&ep_runtime.hotswap));
  }
  (void)fuzz_board_ask(edgeplug_Request_hello_tag);
  FUZZ_CHECK(fuzz_board_violations() == 0u);
  return 0;
}
