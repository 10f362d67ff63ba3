/* The observer's frame, and its way out over the trace port. */
#include <string.h>

#include "../boards/observer.h"
#include "board.h"
#include "check.h"
#include "chip.h"
#include "core/board.h"

#define ITM_TER 0xE0000E00u
#define ITM_TCR 0xE0000E80u
#define WORDS   9u

void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

static uint32_t crc(const uint8_t *bytes, uint32_t size) {
  uint32_t sum = UINT32_MAX;
  for (uint32_t i = 0; i < 8u * size; i++) {
    const uint32_t bit = (sum ^ (uint32_t)bytes[i / 8u] >> i % 8u) & 1u;
    sum = sum >> 1 ^ (bit != 0u ? 0xEDB88320u : 0u);
  }
  return ~sum;
}

typedef struct {
  uint32_t scan, time_us, swap_number;
  float outputs[4];
} observation_t;

/* Takes a COBS frame without its delimiter apart; false if it isn't whole. */
static bool decode(const uint8_t *frame, uint32_t size, observation_t *seen) {
  uint8_t record[64];
  uint32_t filled = 0, sum;
  for (uint32_t at = 0; at < size;) {
    const uint32_t code = frame[at++];
    if (code == 0u || at + code - 1u > size || filled + code > sizeof record) return false;
    memcpy(record + filled, frame + at, code - 1u);
    filled += code - 1u;
    at += code - 1u;
    if (at < size) record[filled++] = 0;
  }
  if (filled != EP_OBSERVER_RECORD) return false;
  memcpy(&sum, record + 28, sizeof sum);
  memcpy(seen, record, sizeof *seen);
  return sum == crc(record, 28);
}

/* What a listener makes of bytes: whole observations, and how many others there were between delimiters. */
static uint32_t listen(const uint8_t *bytes, uint32_t size, observation_t *seen, uint32_t *broken) {
  uint32_t whole = 0, from = 0;
  for (uint32_t i = 0; i < size; i++) {
    if (bytes[i] != 0u) continue;
    if (i > from) {
      if (decode(bytes + from, i - from, &seen[whole]))
        whole++;
      else
        ++*broken;
    }
    from = i + 1u;
  }
  return whole;
}

static void begin(bool listening) {
  chip_init();
  chip_set(ITM_TCR, listening);
  chip_set(ITM_TER, listening);
  chip.trace.room = UINT32_MAX;
}

int main(void) {
  static const float outputs[6] = {1.5f, 0.0f, -3.25f, 1e20f, 5.0f, 6.0f};

  TEST("a frame is COBS of scan, time, swap number, four outputs and their CRC-32, whatever bytes are zero") {
    uint32_t seed = 1;
    for (uint32_t i = 0; i < 20000u; i++) {
      uint8_t frame[EP_OBSERVER_FRAME];
      observation_t seen;
      float values[4];
      chip_init();
      seed = seed * 1664525u + 1013904223u;
      const uint32_t scan = seed & (0xFFu << (8u * (i % 4u))), swap = seed >> i % 32u;
      chip.now_ns = 1000ull * (seed >> i % 25u);
      for (uint32_t c = 0; c < 4u; c++) {
        const uint32_t bits = (seed * (c + 1u)) & (0xFFFFu << (i % 17u));
        memcpy(&values[c], &bits, sizeof bits);
      }
      ep_observer_frame(frame, values, 4, (1ull << 32) + scan, swap);
      CHECK_EQ(frame[EP_OBSERVER_FRAME - 1u], 0);
      if (!CHECK(memchr(frame, 0, sizeof frame) == frame + EP_OBSERVER_FRAME - 1u)) break;
      if (!CHECK(decode(frame, EP_OBSERVER_FRAME - 1u, &seen))) break;
      CHECK_EQ(seen.scan, scan);
      CHECK_EQ(seen.swap_number, swap);
      CHECK(memcmp(seen.outputs, values, sizeof values) == 0);
      CHECK(seen.time_us - (seed >> i % 25u) < 10u);
    }
  }
  TEST("outputs that a board doesn't have are told as 0, those beyond the fourth not at all") {
    uint8_t frame[EP_OBSERVER_FRAME];
    observation_t seen;
    chip_init();
    ep_observer_frame(frame, outputs, 2, 7, 8);
    CHECK(decode(frame, EP_OBSERVER_FRAME - 1u, &seen));
    CHECK(seen.outputs[0] == 1.5f && seen.outputs[2] == 0.0f && seen.outputs[3] == 0.0f);
    ep_observer_frame(frame, outputs, 6, 7, 8);
    CHECK(decode(frame, EP_OBSERVER_FRAME - 1u, &seen));
    CHECK(memcmp(seen.outputs, outputs, 16) == 0);
  }
  TEST("without a debug probe that listens, nothing is sent and next to no time is spent") {
    begin(true);
    chip_set(ITM_TCR, 0);
    uint64_t before = chip.now_ns;
    ep_stm32_observe(outputs, 4, 1, 2);
    chip_settle();
    CHECK_EQ(chip.trace.count, 0);
    CHECK(chip.now_ns - before <= 100u);
    begin(true);
    chip_set(ITM_TER, 0);
    ep_stm32_observe(outputs, 4, 1, 2);
    chip_settle();
    CHECK_EQ(chip.trace.count, 0);
  }
  TEST("with one, each scan's record leaves in nine words, delimited on both sides") {
    observation_t seen[8];
    uint32_t broken = 0;
    begin(true);
    for (uint32_t scan = 1; scan <= 3u; scan++) ep_stm32_observe(outputs, 4, scan, 9);
    chip_settle();
    CHECK_EQ(chip.trace.count, 3u * WORDS);
    CHECK_EQ(chip.trace.words[0] & 255u, 0);
    CHECK_EQ(listen((const uint8_t *)chip.trace.words, 12u * WORDS, seen, &broken), 3);
    CHECK_EQ(broken, 0);
    CHECK(seen[0].scan == 1u && seen[2].scan == 3u && seen[2].swap_number == 9u);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("where the port takes no more, a record is broken off in bounded time, and the next one is whole") {
    for (uint32_t room = 0; room < WORDS; room++) {
      observation_t seen[8];
      uint32_t broken = 0;
      begin(true);
      chip.trace.room = room;
      const uint64_t before = chip.now_ns;
      ep_stm32_observe(outputs, 4, 1, 9);
      CHECK(chip.now_ns - before < 100000u);
      chip.trace.room = UINT32_MAX;
      ep_stm32_observe(outputs, 4, 2, 9);
      chip_settle();
      CHECK_EQ(listen((const uint8_t *)chip.trace.words, 4u * chip.trace.count, seen, &broken), 1);
      CHECK_EQ(broken, room > 0u);
      CHECK_EQ(seen[0].scan, 2);
      CHECK_EQ(chip.violations, 0);
    }
  }
  return check_done();
}
