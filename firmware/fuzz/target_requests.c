/* Requests, as protobuf messages or by what they mean, to a board in any state, with scans, resets and bad flash in
 * between.
 *
 * Input: the state, then operations of a byte and what it takes (see `operate`). A host that behaves takes two or three
 * bytes a step, so a whole update fits in ten.
 */
#include <string.h>

#include <pb_decode.h>

#include "fuzz.h"
#include "states.h"

#define MOST_OPERATIONS 24u

static edgeplug_Request request;
static fuzz_package_t package; /* announced last */

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  fuzz_states_make();
  return 0;
}

static uint32_t send(pb_size_t tag) {
  request.which_body = tag;
  return fuzz_board_request(&request)->response.error;
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

static void read_slot(fuzz_input_t *input) {
  request.body.read_slot.slot = fuzz_u8(input) & 3u;
  request.body.read_slot.offset = fuzz_u16(input);
  request.body.read_slot.size = fuzz_u16(input) & 0x3FFu;
  (void)send(edgeplug_Request_read_slot_tag);
}

static void add_key(fuzz_input_t *input) {
  uint32_t key = fuzz_u8(input);
  request.body.add_key.role = (edgeplug_KeyRole)(key >> 4 & 3u);
  memcpy(request.body.add_key.public_key, fuzz_key(key), 32);
  (void)send(edgeplug_Request_add_key_tag);
}

static void clear_spent(fuzz_input_t *input) {
  uint32_t size;
  const uint8_t *bytes = fuzz_bytes(input, fuzz_u8(input) % 17u, &size);
  memcpy(request.body.clear_spent.digest.bytes, bytes, size);
  request.body.clear_spent.digest.size = (pb_size_t)size;
  (void)send(edgeplug_Request_clear_spent_tag);
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
  uint32_t operation = fuzz_u8(input) % 24u;
  memset(&request, 0, sizeof request);
  switch (operation) {
  case 8: begin(input); break;
  case 9: chunk_expected(input); break;
  case 10: chunk_any(input); break;
  case 11: call(input); break;
  case 12: read_slot(input); break;
  case 13: add_key(input); break;
  case 14: clear_spent(input); break;
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
  default: (void)fuzz_board_ask(plain[operation]); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input_t input = {data, data + size};
  fuzz_board_restore(fuzz_state(fuzz_u8(&input)));
  package = *fuzz_package(FUZZ_CONTROL_NEXT);
  for (uint32_t count = 0; fuzz_more(&input) && count < MOST_OPERATIONS; count++) operate(&input);
  (void)fuzz_board_ask(edgeplug_Request_hello_tag);
  FUZZ_CHECK(fuzz_board_violations() == 0u);
  return 0;
}
