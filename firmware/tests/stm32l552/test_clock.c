/* Clocks and time. */
#include "board.h"
#include "check.h"
#include "chip.h"
#include "core/board.h"
#include "memory_map.h"

void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

static const struct {
  uint32_t dead;
  const char *what;
} failures[] = {
    {DEAD_VOLTAGE, "voltage range"}, {DEAD_HSI, "oscillator"}, {DEAD_PLL, "PLL"},
    {DEAD_WAITS, "wait states"},     {DEAD_SWITCH, "switch"},
};

int main(void) {
  TEST("the core comes to 110 MHz by HSI16 and PLL, each step after what it needs, and at full bus clock") {
    chip_init();
    ep_stm32_clock_init();
    CHECK_EQ(ep_stm32_core_hz, 110000000);
    const uint32_t pll = chip_register(0x4002100Cu);
    CHECK_EQ(pll & 3u, 2); /* HSI16 */
    CHECK_EQ(16000000u / ((pll >> 4 & 15u) + 1u) * (pll >> 8 & 127u) / (2u * ((pll >> 25 & 3u) + 1u)),
             110000000u);
    CHECK_EQ(chip_register(0x40021008u) & 0xF3u, 3);
    CHECK_EQ(chip_register(0x40000028u), 109); /* TIM2 at 1 MHz */
    CHECK_EQ(chip.violations, 0);
  }
  TEST("whatever does not come up, the core stays on its first clock, and timer, tick and line follow it") {
    for (uint32_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
      chip_init();
      chip.dead = failures[i].dead;
      ep_stm32_clock_init();
      ep_board_scan_start();
      if (!CHECK_EQ(ep_stm32_core_hz, 4000000)) printf("# without its %s\n", failures[i].what);
      CHECK_EQ(chip_register(0x40021008u) & 0xF3u, 0);
      CHECK_EQ(chip_register(0x40000028u), 3);
      CHECK_EQ(chip_register(0xE000E014u), 4u * EP_MAP_TICK_MICROS - 1u);
      CHECK(chip.now_ns < 500000000u);
      CHECK_EQ(chip.violations, 0);
    }
  }
  TEST("the tick is a millisecond of the core clock, with an interrupt, less urgent than the line's") {
    chip_init();
    ep_stm32_clock_init();
    ep_board_scan_start();
    CHECK_EQ(chip_register(0xE000E014u), 109999);
    CHECK_EQ(chip_register(0xE000E010u), 7);
    CHECK_EQ(chip_register(0xE000ED20u) >> 24, 0x80);
  }
  TEST("time goes on over the wrap of its 32 bits, and never back") {
    chip_init();
    chip.tick_ns = 0;
    chip.now_ns = ((1ull << 32) - 50u) * 1000u;
    uint64_t last = ep_board_time_us();
    const uint64_t first = last;
    for (int i = 0; i < 1000; i++) {
      const uint64_t now = ep_board_time_us();
      CHECK(now >= last);
      last = now;
    }
    CHECK(last - first > 100u && last - first < 1000u);
    CHECK(last >> 32 == (first >> 32) + 1u);
  }
  return check_done();
}
