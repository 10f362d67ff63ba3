/* Frames on the line: nothing comes out of the receiver before its CRC held. */
#include <stdint.h>

#include "check.h"
#include "link/frame.h"

static ep_frame_receiver_t receiver;
static uint8_t message[EP_FRAME_MAX];
static uint8_t wire[EP_FRAME_WIRE_MAX];

static uint32_t fill(uint32_t size, uint32_t seed) {
  for (uint32_t at = 0; at < size; at++) {
    seed = seed * 1664525u + 1013904223u;
    message[at] = (seed >> 28) == 0 ? 0 : (uint8_t)(seed >> 24);
  }
  return size;
}

/* Plays `length` wire bytes; returns how many messages came out that equal the first `size` bytes sent. */
static int play(const uint8_t *bytes, uint32_t length, uint32_t size) {
  int good = 0;
  for (uint32_t at = 0; at < length; at++) {
    uint32_t got = 0;
    const uint8_t *out = ep_frame_receive(&receiver, bytes[at], &got);
    if (out != NULL) {
      CHECK_EQ(got, size);
      CHECK_BYTES(out, message, size);
      good++;
    }
  }
  return good;
}

int main(void) {
  TEST("a message of every size comes back byte for byte") {
    memset(&receiver, 0, sizeof receiver);
    for (uint32_t size = 1; size <= edgeplug_Frame_size; size++) {
      fill(size, size);
      uint32_t length = ep_frame_build(message, size, wire);
      CHECK(length <= sizeof wire);
      CHECK_EQ(play(wire, length, size), 1);
    }
    CHECK_EQ(receiver.dropped, 0);
  }

  TEST("a frame with any one bit flipped is dropped and counted, and the next one is received") {
    uint32_t size = fill(40, 7), length = ep_frame_build(message, size, wire);
    uint8_t clean[EP_FRAME_WIRE_MAX];
    memcpy(clean, wire, length);
    for (uint32_t bit = 8; bit < (length - 1) * 8; bit++) {
      memset(&receiver, 0, sizeof receiver);
      memcpy(wire, clean, length);
      wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
      CHECK_EQ(play(wire, length, size), 0);
      CHECK(receiver.dropped >= 1);
      CHECK_EQ(play(clean, length, size), 1);
    }
  }

  TEST("a frame cut short at any byte is dropped, and the next one is received") {
    uint32_t size = fill(40, 9), length = ep_frame_build(message, size, wire);
    for (uint32_t cut = 2; cut < length - 1; cut++) {
      memset(&receiver, 0, sizeof receiver);
      CHECK_EQ(play(wire, cut, size), 0);
      CHECK_EQ(play(wire, length, size), 1);
      CHECK_EQ(receiver.dropped, 1);
    }
  }

  TEST("endless garbage without a delimiter costs one dropped frame and no memory beyond the receiver") {
    memset(&receiver, 0, sizeof receiver);
    for (uint32_t at = 0; at < 100000; at++) {
      uint32_t size;
      CHECK(ep_frame_receive(&receiver, 0x55, &size) == NULL);
    }
    uint32_t size = fill(10, 3), length = ep_frame_build(message, size, wire);
    CHECK_EQ(play(wire, length, size), 1);
    CHECK_EQ(receiver.dropped, 1);
  }

  TEST("empty frames are no frames and are not counted as dropped") {
    static const uint8_t zeros[100];
    memset(&receiver, 0, sizeof receiver);
    CHECK_EQ(play(zeros, sizeof zeros, 0), 0);
    CHECK_EQ(receiver.dropped, 0);
  }

  TEST("a frame of nothing but a CRC is dropped") {
    static const uint8_t crc_of_nothing[] = {1, 1, 1, 1, 1, 0};
    memset(&receiver, 0, sizeof receiver);
    CHECK_EQ(play(crc_of_nothing, sizeof crc_of_nothing, 0), 0);
    CHECK_EQ(receiver.dropped, 1);
  }
  return check_done();
}
