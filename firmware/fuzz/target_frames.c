/* Any bytes on the line: COBS by itself, then the whole way from the serial port to the answer.
 *
 * Input: pieces of a length byte and as many bytes. An even length: bytes as they are. An odd one: a message that gets
 * its CRC and goes in a frame, so that what lies behind the CRC is reached. RUN stands before a run of one byte: what is
 * too long for a frame would be too long for an input as well.
 */
#include <string.h>

#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "states.h"

#define MOST 700u
#define RUN  0xFCu

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  fuzz_states_make();
  return 0;
}

/* Decoding stays inside what it is given, and gives back what encoding made of it. */
static void check_cobs(const uint8_t *data, uint32_t size) {
  static uint8_t decoded[MOST], again[EP_COBS_MAX(MOST)];
  int32_t length, second;
  if (size == 0u || size > MOST) return;
  memcpy(decoded, data, size);
  __asan_poison_memory_region(decoded + size, sizeof decoded - size);
  length = ep_cobs_decode(decoded, size);
  __asan_unpoison_memory_region(decoded, sizeof decoded);
  if (length < 0) return;
  FUZZ_CHECK((uint32_t)length < size);
  size = (uint32_t)ep_cobs_encode(decoded, (size_t)length, again);
  FUZZ_CHECK(size <= EP_COBS_MAX((uint32_t)length) && memchr(again, 0, size) == NULL);
  second = ep_cobs_decode(again, size);
  FUZZ_CHECK(second == length && memcmp(again, decoded, (size_t)length) == 0);
}

static void send_run(fuzz_input_t *input) {
  uint8_t run[2048];
  uint32_t length = fuzz_u16(input) % sizeof run;
  memset(run, (int)fuzz_u8(input), length);
  fuzz_board_line(run, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input_t input = {data, data + size};
  check_cobs(data, (uint32_t)size);
  fuzz_board_restore(fuzz_state(2u * STATE_RUNNING));
  while (fuzz_more(&input)) {
    uint32_t length = fuzz_u8(&input), part;
    bool framed = (length & 1u) != 0u;
    const uint8_t *bytes;
    if (length == RUN) {
      send_run(&input);
      continue;
    }
    if (length >= 0xFEu) length = EP_FRAME_MAX - 4u; /* as long as can be */
    bytes = fuzz_bytes(&input, length, &part);
    if (framed) {
      fuzz_board_message(bytes, part);
      FUZZ_CHECK(fuzz_board_reply()->responses <= 1u);
    } else {
      fuzz_board_line(bytes, part);
    }
  }
  /* Whatever came, the next request is heard: a delimiter ends the noise. */
  FUZZ_CHECK(fuzz_board_ask(edgeplug_Request_hello_tag)->response.error == 0u);
  FUZZ_CHECK(fuzz_board_violations() == 0u);
  return 0;
}
