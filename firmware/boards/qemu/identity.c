/* Who this board is and how it was set: the map, and three facts that the harness writes into the flash image
 * before the first start (memory-map.json: boardId, idleMode, maskOneScan). */
#include <string.h>

#include "ast1030.h"
#include "board.h"
#include "core/board.h"
#include "memory_map.h"

#define IDLE_TURN   0x01u /* turns the main loop */
#define IDLE_SPIN   0x02u /* waits for an interrupt, awake; every other value sleeps */
#define MASK_ONE    0x01u /* every other value masks nothing */
#define MASKED_TICK 500u

static const ep_board_map_t map = {
    .slot_address = {EP_MAP_SLOTS_A, EP_MAP_SLOTS_B},
    .journal_address = EP_MAP_JOURNAL_BASE,
    .journal_half_size = EP_MAP_JOURNAL_PAGES_PER_HALF * EP_MAP_FLASH_ERASE_SIZE,
    .erase_size = EP_MAP_FLASH_ERASE_SIZE,
    .program_max = EP_MAP_FLASH_PROGRAM_MAX,
    .board_class = EP_MAP_BOARD_CLASS,
    .tick_us = EP_MAP_TICK_MICROS,
    .nanos_per_fuel = EP_MAP_NANOS_PER_FUEL,
    .inputs = EP_MAP_INPUTS,
    .outputs = EP_MAP_OUTPUTS,
    .fail_safe = EP_MAP_FAIL_SAFE,
};

static struct {
  uint8_t id[EP_BOARD_ID_SIZE];
  uint8_t idle;
  bool mask_one;
} settings;

volatile uint32_t ep_qemu_interrupts;

static uint8_t flash_byte(uint32_t address) {
  uint8_t byte;
  return ep_board_flash_read(address, &byte, sizeof byte) == 0 ? byte : 0xFFu;
}

void ep_qemu_settings_init(void) {
  if (ep_board_flash_read(EP_MAP_BOARD_ID, settings.id, sizeof settings.id) != 0)
    memset(settings.id, 0xFF, sizeof settings.id);
  settings.idle = flash_byte(EP_MAP_IDLE_MODE);
  settings.mask_one = flash_byte(EP_MAP_MASK_ONE_SCAN) == MASK_ONE;
}

uint32_t ep_qemu_masked_tick(void) {
  return settings.mask_one ? MASKED_TICK : 0u;
}

const ep_board_map_t *ep_board_map(void) {
  return &map;
}

void ep_board_id(uint8_t id[EP_BOARD_ID_SIZE]) {
  memcpy(id, settings.id, EP_BOARD_ID_SIZE);
}

/* A tick's time in instructions of 8 ns, by turns of the loop below. */
#define SPIN_TURN  68u
#define SPIN_TURNS (EP_MAP_TICK_MICROS * 125u / SPIN_TURN)

/* Of ep_qemu_interrupts, when ep_board_idle() was left last. */
static uint32_t interrupts_seen;

/* One that was served since is not waited for again: what it brought may have come after the main loop looked. And none
 * is served between the look and the sleep: a pending interrupt wakes the core though it is held back. */
static void sleep_for_interrupt(void) {
  const uint32_t state = interrupts_off();
  if (ep_qemu_interrupts == interrupts_seen) wait_for_interrupt();
  interrupts_restore(state);
  interrupts_seen = ep_qemu_interrupts;
}

/* Reads of a register after the last byte that came: ten milliseconds of the wall's time, one of the core's.
 * QEMU brings sixteen bytes at a time, and lets a core that is ahead of the wall's time sleep for three milliseconds. One
 * that ran on at full speed would be ahead again before the next sixteen are there. */
#define LISTEN_TURNS 12000u

static void listen_for_more(void) {
  static uint32_t received_seen, turns_left;
  const uint32_t received = ep_qemu_serial_received();
  if (received != received_seen) turns_left = LISTEN_TURNS;
  received_seen = received;
  for (; turns_left > 0u && ep_qemu_interrupts == interrupts_seen; turns_left--) (void)UART_LSR(UART5);
}

/* Waits as a sleeping core does; at the latest it goes on after two ticks, for where no interrupt comes any more, the main
 * loop has to see that. */
static void spin_for_interrupt(void) {
  listen_for_more();
  for (uint32_t turn = 0; turn < SPIN_TURNS && ep_qemu_interrupts == interrupts_seen; turn++)
    __asm volatile(".rept 64\n\tnop\n\t.endr");
  interrupts_seen = ep_qemu_interrupts;
}

/* A sleeping core under QEMU can lose ticks to the machine that it runs on; where scans are counted, the
 * harness asks for a core that never sleeps. One that turns the main loop all the while reads the clock a hundred
 * times a tick, and each read costs the emulator as much as thousands of plain instructions. */
void ep_board_idle(void) {
  if (settings.idle == IDLE_SPIN)
    spin_for_interrupt();
  else if (settings.idle != IDLE_TURN)
    sleep_for_interrupt();
}

void ep_board_work(ep_work_t unit) {
  (void)unit;
  ep_runtime_alive();
}
