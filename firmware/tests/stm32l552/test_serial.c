/* The link's line, against a model of LPUART1 with its FIFOs. */
#include <string.h>

#include "board.h"
#include "check.h"
#include "chip.h"
#include "core/board.h"

#define RING 4096u

void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

/* The rings are the driver's own and outlive a test: empty them. */
static void begin(uint32_t hz) {
  uint8_t byte;
  chip_init();
  chip.serial_handler = ep_stm32_serial_interrupt;
  ep_stm32_core_hz = hz;
  ep_stm32_serial_init();
  chip_settle();
  while (ep_board_serial_read(&byte, 1) == 1u) {
  }
}

static void send_all(void) {
  for (uint32_t i = 0; i < 3u * RING; i++) {
    chip_transmit(1);
    chip_wait_us(1);
  }
}

static uint8_t pattern(uint32_t i) {
  return (uint8_t)(i * 37u + i / 256u);
}

int main(void) {
  static uint8_t data[2u * RING];
  for (uint32_t i = 0; i < sizeof data; i++) data[i] = pattern(i);

  TEST("the line runs at 115,200 baud within 0.1 %, from either clock that the core may have") {
    static const uint32_t clocks[] = {110000000u, 4000000u};
    for (uint32_t i = 0; i < 2u; i++) {
      begin(clocks[i]);
      const double baud = 256.0 * clocks[i] / chip_register(0x4000800Cu);
      CHECK(baud > 115085.0 && baud < 115315.0);
      CHECK(chip_register(0x4000800Cu) >= 0x300u && chip_register(0x4000800Cu) <= 0xFFFFFu);
    }
  }
  TEST("PG7 and PG8 are the line's, their supply is declared valid, and the FIFOs are on") {
    begin(110000000u);
    CHECK_EQ(chip_register(0x40007004u), 1u << 9);
    CHECK_EQ(chip_register(0x42021800u) >> 14 & 15u, 10); /* both alternate */
    CHECK_EQ(chip_register(0x42021820u) >> 28, 8);
    CHECK_EQ(chip_register(0x42021824u) & 15u, 8);
    CHECK_EQ(chip_register(0x40008000u) & 0x2000002Du, 0x2000002Du);
    CHECK(chip_enabled(66));
    CHECK_EQ(chip.violations, 0);
  }
  TEST("bytes arrive in order, as many as the ring holds; those beyond are counted, and it goes on") {
    static uint8_t got[2u * RING];
    begin(110000000u);
    const uint32_t lost = ep_board_serial_overruns();
    for (uint32_t i = 0; i < RING + 10u; i++) {
      chip_receive(pattern(i));
      chip_wait_us(1);
    }
    CHECK_EQ(ep_board_serial_overruns() - lost, 10);
    CHECK_EQ(ep_board_serial_read(got, sizeof got), RING);
    CHECK_BYTES(got, data, RING);
    chip_receive(0x55);
    chip_wait_us(1);
    CHECK_EQ(ep_board_serial_read(got, sizeof got), 1);
    CHECK_EQ(got[0], 0x55);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("eight bytes may come while interrupts are off; the ninth is counted as lost, and calls for no "
       "endless interrupt") {
    uint8_t got[16];
    begin(110000000u);
    const uint32_t lost = ep_board_serial_overruns();
    chip.masked = true;
    for (uint32_t i = 0; i < 8u; i++) chip_receive(pattern(i));
    chip.masked = false;
    chip_wait_us(1);
    CHECK_EQ(ep_board_serial_overruns(), lost);
    CHECK_EQ(ep_board_serial_read(got, sizeof got), 8);
    CHECK_BYTES(got, data, 8);
    chip.masked = true;
    for (uint32_t i = 0; i < 9u; i++) chip_receive(pattern(i));
    chip.masked = false;
    chip_wait_us(1);
    CHECK_EQ(ep_board_serial_overruns(), lost + 1u);
    CHECK_EQ(ep_board_serial_read(got, sizeof got), 8);
    CHECK(!chip.uart.overrun);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("what is written goes out in order, no more than the ring takes, and the interrupt switches itself "
       "off") {
    begin(110000000u);
    const uint32_t taken = ep_board_serial_write(data, sizeof data);
    CHECK(taken >= RING && taken <= RING + 16u); /* some leave while it is being filled */
    send_all();
    CHECK_EQ(chip.uart.sent, taken);
    CHECK_BYTES(chip.uart.line, data, taken);
    CHECK_EQ(chip_register(0x40008000u) & 0x80u, 0);
    CHECK_EQ(ep_board_serial_write(data, 3), 3);
    send_all();
    CHECK_EQ(chip.uart.sent, taken + 3u);
    CHECK_EQ(ep_board_serial_write(data, 0), 0);
    CHECK_EQ(chip.violations, 0);
  }
  return check_done();
}
