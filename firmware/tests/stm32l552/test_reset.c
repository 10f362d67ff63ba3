/* Why the board started, its watchdog, and its way to reset. */
#include "board.h"
#include "check.h"
#include "chip.h"
#include "core/board.h"

#define RCC_CSR    0x40021094u
#define PIN        (1u << 26)
#define POWER      (1u << 27)
#define SOFTWARE   (1u << 28)
#define IWDG       (1u << 29)
#define WWDG       (1u << 30)
#define FIRST_FLAG 25u /* option bytes loaded; the last is 31, low power */

void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

/* A boot with these flags up, after what went before. */
static ep_reset_cause_t boot(uint32_t flags) {
  chip_init();
  chip_set(RCC_CSR, flags);
  ep_stm32_reset_init();
  return ep_board_reset_cause();
}

static void test_causes(void) {
  TEST("for every combination of flags and every word left in memory, the cause is the one that an agent is "
       "blamed for or not") {
    static const ep_reset_cause_t intents[] = {EP_RESET_REQUESTED, EP_RESET_FAULT};
    for (uint32_t set = 0; set < 128u; set++)
      for (uint32_t i = 0; i < 2u; i++) {
        const uint32_t flags = set << FIRST_FLAG;
        chip_init();
        CHECK(intents[i] == EP_RESET_FAULT ? RESETS(ep_stm32_fault()) : RESETS(ep_board_reset()));
        ep_reset_cause_t expected = EP_RESET_POWER_ON;
        if ((flags & POWER) == 0u) {
          if ((flags & SOFTWARE) != 0u) expected = intents[i];
          if ((flags & (IWDG | WWDG)) != 0u) expected = EP_RESET_WATCHDOG;
        }
        if (!CHECK_EQ(boot(flags), expected)) printf("# flags 0x%08x\n", flags);
      }
  }
  TEST("what silicon sets together is told apart: the pin's flag comes with each reset") {
    CHECK_EQ(boot(POWER | PIN), EP_RESET_POWER_ON);
    CHECK_EQ(boot(PIN), EP_RESET_POWER_ON);
    CHECK_EQ(boot(IWDG | PIN), EP_RESET_WATCHDOG);
    CHECK_EQ(boot(SOFTWARE | PIN), EP_RESET_REQUESTED);
    CHECK(RESETS(ep_stm32_fault()));
    CHECK_EQ(boot(SOFTWARE | PIN), EP_RESET_FAULT);
  }
  TEST("the answer stays the same for the boot, flags and mailbox are cleared, and the next boot does not "
       "see them") {
    CHECK(RESETS(ep_stm32_fault()));
    CHECK_EQ(boot(SOFTWARE), EP_RESET_FAULT);
    CHECK_EQ(chip_register(RCC_CSR), 0);
    CHECK_EQ(ep_board_reset_cause(), EP_RESET_FAULT);
    CHECK_EQ(boot(SOFTWARE), EP_RESET_REQUESTED);
  }
  TEST("a fault before a power-on is not blamed on what runs after it") {
    CHECK(RESETS(ep_stm32_fault()));
    CHECK_EQ(boot(POWER | SOFTWARE), EP_RESET_POWER_ON);
    CHECK_EQ(boot(SOFTWARE), EP_RESET_REQUESTED);
  }
}

static void test_watchdog(void) {
  TEST("the watchdog counts 150 ms at most with the slowest oscillator, and over 120 with the nominal one") {
    chip_init();
    ep_board_watchdog_start();
    const uint64_t ticks = 4u * (chip_register(0x40003008u) + 1u);
    CHECK_EQ(chip_register(0x40003004u), 0);
    CHECK(ticks * 1000000u / 29500u <= 150000u);
    CHECK(ticks * 1000000u / 32000u > 120000u);
    CHECK(chip.dog.started);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("its period counts once the registers have taken it: it is fed after that") {
    chip_init();
    ep_board_watchdog_start();
    chip_settle();
    CHECK_EQ(chip.dog.reloads, 1);
    CHECK(!chip.dog.reloaded_before_settled);
    ep_board_watchdog_kick();
    chip_settle();
    CHECK_EQ(chip.dog.reloads, 2);
  }
  TEST("registers that stay busy hold nobody up: the watchdog runs all the same") {
    chip_init();
    chip.dead = DEAD_IWDG;
    ep_board_watchdog_start();
    CHECK(chip.dog.started);
    CHECK(chip.now_ns < 500000000u);
  }
  TEST("it stands still while a debugger halts the core") {
    (void)boot(PIN);
    CHECK_EQ(chip_register(0xE0044008u), 1u << 12);
  }
}

int main(void) {
  test_causes();
  test_watchdog();
  return check_done();
}
