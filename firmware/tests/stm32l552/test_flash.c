/* The flash driver, against the model of the controller. */
#include <string.h>

#include "board.h"
#include "check.h"
#include "chip.h"
#include "core/board.h"
#include "errors.h"

#define PAGE   2048u
#define PAGES  128u
#define PLACE  (CHIP_FLASH + 0x17000u)
#define ERRORS 0x20FAu
#define SILENT 0x80000000u /* no flag at all: neither end nor error */

void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

static const uint8_t unit[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void begin(void) {
  chip_init();
  chip.flash_handler = ep_stm32_flash_interrupt;
  chip.nmi_handler = ep_stm32_nmi;
  ep_stm32_flash_init();
}

static const uint8_t *cells(uint32_t address) {
  return chip.flash.cells + (address - CHIP_FLASH);
}

static bool all(const uint8_t *bytes, uint32_t size, uint8_t value) {
  for (uint32_t i = 0; i < size; i++)
    if (bytes[i] != value) return false;
  return true;
}

/* Closed, and nothing left chosen that a stray write could set going. */
static bool closed(void) {
  chip_settle();
  return chip.flash.locked && chip.flash.control == 0u;
}

static uint32_t operations(void) {
  return chip.flash.erases + chip.flash.programs;
}

static void test_operations(void) {
  TEST("each page is erased by its own address, and no byte beside it") {
    begin();
    for (uint32_t page = 0; page < PAGES; page++) {
      memset(chip.flash.cells, 0, sizeof chip.flash.cells);
      CHECK_EQ(ep_board_flash_erase(CHIP_FLASH + page * PAGE), EP_OK);
      CHECK(all(chip.flash.cells, page * PAGE, 0));
      CHECK(all(chip.flash.cells + page * PAGE, PAGE, 0xFF));
      CHECK(all(chip.flash.cells + (page + 1u) * PAGE, CHIP_FLASH_SIZE - (page + 1u) * PAGE, 0));
    }
    CHECK_EQ(chip.flash.erases, PAGES);
    CHECK_EQ(chip.violations, 0);
  }
  TEST(
      "a double word is programmed with its bytes in order, from any address in memory, and none beside it") {
    uint8_t data[40];
    for (uint32_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(3u * i + 1u);
    for (uint32_t from = 0; from < 8u; from++) {
      begin();
      CHECK_EQ(ep_board_flash_program(PLACE + 8u, data + from, 24), EP_OK);
      CHECK_BYTES(cells(PLACE + 8u), data + from, 24);
      CHECK(all(cells(PLACE), 8, 0xFF) && all(cells(PLACE + 32u), 64, 0xFF));
      CHECK_EQ(chip.flash.programs, 3);
      CHECK_EQ(chip.violations, 0);
    }
  }
  TEST("what is not aligned, half a unit, or beside bank 1, is refused before the controller is touched") {
    uint8_t data[32] = {0};
    begin();
    CHECK_EQ(ep_board_flash_erase(PLACE + 8u), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_erase(CHIP_FLASH + CHIP_FLASH_SIZE), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_erase(CHIP_FLASH - PAGE), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_erase(0), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_program(PLACE + 4u, data, 8), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_program(PLACE, data, 12), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_program(CHIP_FLASH + CHIP_FLASH_SIZE - 8u, data, 16), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_program(0xFFFFFFF8u, data, 16), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_read(CHIP_FLASH + CHIP_FLASH_SIZE - 8u, data, 9), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_read(0xFFFFFFF8u, data, 16), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_read(PLACE, data, UINT32_MAX), EP_ERR_FLASH);
    CHECK_EQ(operations() + chip.flash.reads, 0);
    CHECK(closed());
    CHECK_EQ(chip.violations, 0);
  }
}

static void test_errors(void) {
  TEST("each error flag makes its operation fail, is cleared, and leaves the controller locked; the next one "
       "succeeds") {
    for (uint32_t bit = 1; bit <= ERRORS; bit <<= 1) {
      if ((ERRORS & bit) == 0u) continue;
      for (int erase = 0; erase < 2; erase++) {
        begin();
        chip.flash.fails_with = bit;
        CHECK_EQ(erase ? ep_board_flash_erase(PLACE) : ep_board_flash_program(PLACE, unit, 8), EP_ERR_FLASH);
        CHECK(closed());
        CHECK_EQ(chip.flash.status, 0);
        CHECK_EQ(erase ? ep_board_flash_erase(PLACE) : ep_board_flash_program(PLACE, unit, 8), EP_OK);
        CHECK(closed());
        CHECK_EQ(chip.violations, 0);
      }
    }
  }
  TEST("a double word that isn't blank can't be programmed, and what it held stays") {
    begin();
    CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_OK);
    CHECK_EQ(ep_board_flash_program(PLACE, (const uint8_t[8]){0xFF}, 8), EP_ERR_FLASH);
    CHECK_BYTES(cells(PLACE), unit, 8);
    CHECK(closed());
  }
  TEST("of several double words, none is programmed after one that failed") {
    uint8_t data[24] = {0};
    begin();
    CHECK_EQ(ep_board_flash_program(PLACE + 8u, unit, 8), EP_OK);
    CHECK_EQ(ep_board_flash_program(PLACE, data, sizeof data), EP_ERR_FLASH);
    CHECK(all(cells(PLACE), 8, 0) && all(cells(PLACE + 16u), 8, 0xFF));
  }
  TEST("error flags that are up from before are cleared first, and spoil nothing") {
    for (int erase = 0; erase < 2; erase++) {
      begin();
      chip.flash.status = ERRORS | 1u;
      CHECK_EQ(erase ? ep_board_flash_erase(PLACE) : ep_board_flash_program(PLACE, unit, 8), EP_OK);
      CHECK_EQ(chip.flash.status, 0);
      CHECK_EQ(chip.violations, 0);
    }
  }
  TEST("an operation of which the controller does not say that it ended well has failed") {
    begin();
    chip.flash.fails_with = SILENT;
    CHECK_EQ(ep_board_flash_erase(PLACE), EP_ERR_FLASH);
    CHECK(closed());
  }
  TEST("one of which it says both, that it ended and that something was wrong, has failed") {
    for (uint32_t bit = 2; bit <= ERRORS; bit <<= 1) {
      if ((ERRORS & bit) == 0u) continue;
      begin();
      chip.flash.fails_with = bit | 1u;
      CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_ERR_FLASH);
      CHECK_EQ(chip.flash.status, 0);
      CHECK(closed());
    }
  }
  TEST("a controller that takes no key is an error, and nothing else is tried") {
    begin();
    chip.flash.dead = true;
    CHECK_EQ(ep_board_flash_erase(PLACE), EP_ERR_FLASH);
    CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_ERR_FLASH);
    CHECK_EQ(operations(), 0);
    CHECK(all(chip.flash.cells, CHIP_FLASH_SIZE, 0xFF));
    CHECK_EQ(chip.violations, 0);
  }
  TEST("a controller that somebody left open needs no keys, and is locked afterwards") {
    begin();
    chip.flash.locked = false;
    CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_OK);
    CHECK(closed());
    CHECK_EQ(chip.violations, 0);
  }
}

static void test_waits(void) {
  TEST("an operation that does not end is an error in time, without a write that would stall") {
    for (int erase = 0; erase < 2; erase++) {
      begin();
      chip.flash.stuck = 1;
      CHECK_EQ(erase ? ep_board_flash_erase(PLACE) : ep_board_flash_program(PLACE, unit, 8), EP_ERR_FLASH);
      CHECK(chip.now_ns < (erase ? 53000000u : 3000000u));
      CHECK_EQ(ep_board_flash_erase(PLACE + PAGE), EP_ERR_FLASH);
      CHECK_EQ(operations(), 1);
      CHECK_EQ(chip.violations, 0);
    }
  }
  TEST("one that ends after all is locked by its interrupt, and the next one succeeds") {
    begin();
    chip.flash.stuck = 1;
    CHECK_EQ(ep_board_flash_erase(PLACE), EP_ERR_FLASH);
    CHECK(!closed());
    chip.flash.stuck = 0;
    chip_wait_us(2);
    CHECK(closed());
    CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_OK);
    CHECK(closed());
    CHECK_EQ(chip.violations, 0);
  }
  TEST("while flash is busy the core sleeps, and every scan runs") {
    begin();
    chip.scan_us = 700;
    CHECK_EQ(ep_board_flash_erase(PLACE), EP_OK);
    CHECK(chip.scans >= 21u && chip.scans <= 23u);
    CHECK(chip.sleeps <= chip.scans + 2u);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("the end of an operation wakes the core: nobody waits for the next scan") {
    begin();
    chip.tick_ns = 1000000000u;
    CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_OK);
    CHECK(chip.now_ns < 150000u);
    CHECK_EQ(chip.sleeps, 1);
    CHECK_EQ(ep_board_flash_erase(PLACE), EP_OK);
    CHECK(chip.now_ns < 22300000u);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("an operation that fails wakes the core as well") {
    begin();
    chip.tick_ns = 1000000000u;
    chip.flash.fails_with = 2; /* OPERR */
    CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_ERR_FLASH);
    CHECK(chip.now_ns < 150000u);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("a scan that lasts longer than an operation may take does not make a good one a failure") {
    for (uint32_t when = 0; when < 120u; when++) {
      begin();
      chip.scan_us = 900;
      chip.tick_ns = chip.now_ns + 1000u * when;
      CHECK_EQ(ep_board_flash_program(PLACE, unit, 8), EP_OK);
      CHECK_EQ(chip.violations, 0);
    }
  }
}

static void test_reads(void) {
  TEST("any range reads what the cells hold, whatever address and buffer it has, word by word inside") {
    uint8_t buffer[48];
    begin();
    for (uint32_t i = 0; i < 64u; i++) chip.flash.cells[PLACE - CHIP_FLASH + i] = (uint8_t)(7u * i + 5u);
    for (uint32_t at = 0; at < 8u; at++)
      for (uint32_t to = 0; to < 4u; to++)
        for (uint32_t size = 0; size < 24u; size++) {
          memset(buffer, 0xEE, sizeof buffer);
          chip.flash.reads = 0;
          CHECK_EQ(ep_board_flash_read(PLACE + at, buffer + 8u + to, size), EP_OK);
          CHECK(memcmp(buffer + 8u + to, cells(PLACE + at), size) == 0);
          CHECK(all(buffer, 8u + to, 0xEE) && all(buffer + 8u + to + size, 8, 0xEE));
          CHECK(chip.flash.reads <= size / 4u + 6u);
        }
    CHECK_EQ(chip.violations, 0);
  }
  TEST("a double word that ECC can't mend fails each read that touches it, again and again, and no other") {
    uint8_t buffer[32];
    begin();
    chip.flash.bad[(PLACE + 16u - CHIP_FLASH) / 8u] = 2;
    for (uint32_t at = 0; at < 40u; at++)
      for (uint32_t size = 1; size < 24u; size++) {
        const bool touches = at < 24u && at + size > 16u;
        for (int again = 0; again < 3; again++)
          CHECK_EQ(ep_board_flash_read(PLACE + at, buffer, size), touches ? EP_ERR_ECC : EP_OK);
      }
    CHECK_EQ(chip.flash.ecc, 0);
    CHECK_EQ(chip.resets, 0);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("a bit that ECC has mended is no error, and hides none that comes after it") {
    uint8_t buffer[32];
    begin();
    chip.flash.bad[(PLACE - CHIP_FLASH) / 8u] = 1;
    chip.flash.bad[(PLACE + 8u - CHIP_FLASH) / 8u] = 2;
    CHECK_EQ(ep_board_flash_read(PLACE, buffer, 8), EP_OK);
    CHECK_EQ(ep_board_flash_read(PLACE + 8u, buffer, 8), EP_ERR_ECC);
    CHECK_EQ(ep_board_flash_read(PLACE + 16u, buffer, 16), EP_OK);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("an NMI about flash that the driver does not read is a fault") {
    begin();
    chip.flash.ecc = 0x80000000u;
    chip.nmi = true;
    CHECK(RESETS(chip_wait_us(1)));
    CHECK_EQ(chip.resets, 1);
  }
  TEST("an NMI that is not the flash's is a fault, also while the driver reads") {
    uint8_t buffer[32];
    begin();
    chip.flash.foreign_nmi = 3;
    CHECK(RESETS((void)ep_board_flash_read(PLACE, buffer, sizeof buffer)));
    CHECK_EQ(chip.resets, 1);
    begin();
    chip.nmi = true;
    CHECK(RESETS(chip_wait_us(1)));
  }
}

static void test_options(void) {
  static const struct {
    uint32_t options, boot;
    bool fit;
    const char *what;
  } cases[] = {
      {CHIP_OPTIONS, CHIP_BOOT, true, "as they should be"},
      {CHIP_OPTIONS, 0x08007000u, true, "the bits below the boot address as zeros"},
      {CHIP_OPTIONS & ~(1u << 26), CHIP_BOOT, true, "boot by option bit, from address 0"},
      {CHIP_OPTIONS & ~(1u << 27), CHIP_BOOT, true, "boot by pin"},
      {CHIP_OPTIONS & ~(3u << 26), CHIP_BOOT, false, "boot by option bit, from address 1"},
      {CHIP_OPTIONS & ~(1u << 22), CHIP_BOOT, false, "DBANK = 0"},
      {CHIP_OPTIONS | 1u << 20, CHIP_BOOT, false, "SWAP_BANK = 1"},
      {CHIP_OPTIONS | 1u << 31, CHIP_BOOT, false, "TZEN = 1"},
      {CHIP_OPTIONS, 0x0800007Fu, false, "the boot address of a new chip"},
      {CHIP_OPTIONS, 0x080070FFu, false, "a boot address 128 bytes off"},
      {CHIP_OPTIONS, 0x0BF9007Fu, false, "the boot address of the boot loader"},
  };
  TEST("option bytes that do not fit are told by each function, and no cell or key is touched; others work") {
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      uint8_t buffer[8];
      begin();
      chip_set(0x40022040u, cases[i].options);
      chip_set(0x40022044u, cases[i].boot);
      ep_stm32_flash_init();
      const int expected = cases[i].fit ? EP_OK : EP_ERR_OPTION_BYTES;
      const bool told = ep_board_flash_read(PLACE, buffer, 8) == expected &&
                        ep_board_flash_erase(PLACE) == expected &&
                        ep_board_flash_program(PLACE, unit, 8) == expected;
      const bool touched = operations() + chip.flash.reads + chip.flash.keys > 0u || !chip.flash.locked;
      if (!CHECK(told && touched == cases[i].fit)) printf("# with %s\n", cases[i].what);
      CHECK_EQ(chip.violations, 0);
    }
  }
}

int main(void) {
  test_operations();
  test_errors();
  test_waits();
  test_reads();
  test_options();
  return check_done();
}
