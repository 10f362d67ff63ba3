/* Who this board is: the map, and the chip's 96-bit unique id. */
#include "board.h"
#include "core/board.h"
#include "memory_map.h"
#include "stm32l552.h"

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

const ep_board_map_t *ep_board_map(void) {
  return &map;
}

void ep_board_id(uint8_t id[EP_BOARD_ID_SIZE]) {
  for (uint32_t i = 0; i < EP_BOARD_ID_SIZE; i++) id[i] = REG8(UID_ADDRESS + i);
}

void ep_board_idle(void) {
  wait_for_interrupt();
}

void ep_board_work(ep_work_t unit) {
  (void)unit;
  ep_runtime_alive();
}
