/* The SPI NOR flash, by commands through the controller's window (W25Q80BL data sheet, section 11.2). Only the main
 * loop comes here. The window takes words: the controller shifts their bytes out in memory order. */
#include <string.h>

#include "ast1030.h"
#include "board.h"
#include "core/board.h"
#include "errors.h"
#include "memory_map.h"

#define WINDOW8  REG8(FMC_WINDOW)
#define WINDOW32 REG32(FMC_WINDOW)

#define COMMAND_WRITE_ENABLE 0x06u
#define COMMAND_STATUS       0x05u
#define COMMAND_READ         0x03u
#define COMMAND_PROGRAM      0x02u
#define COMMAND_ERASE_4K     0x20u
#define COMMAND_IDENTIFY     0x9Fu
#define STATUS_BUSY          1u
#define STATUS_WRITE_ENABLED 2u
#define W25Q80BL             0xEF4014u

/* Twice what the data sheet gives as the longest (section 9.6: 300 ms, 3 ms). */
#define ERASE_LIMIT_US   600000u
#define PROGRAM_LIMIT_US 6000u

static bool present;

static void select_chip(uint8_t command) {
  FMC_CTRL0 = FMC_CTRL_DESELECTED;
  FMC_CTRL0 = FMC_CTRL_SELECTED;
  WINDOW8 = command;
}

static void deselect_chip(void) {
  FMC_CTRL0 = FMC_CTRL_DESELECTED;
}

static void send_address(uint32_t address) {
  WINDOW8 = (uint8_t)(address >> 16);
  WINDOW8 = (uint8_t)(address >> 8);
  WINDOW8 = (uint8_t)address;
}

static uint8_t status(void) {
  select_chip(COMMAND_STATUS);
  const uint8_t value = WINDOW8;
  deselect_chip();
  return value;
}

static int write_enable(void) {
  select_chip(COMMAND_WRITE_ENABLE);
  deselect_chip();
  return (status() & STATUS_WRITE_ENABLED) != 0u ? EP_OK : EP_ERR_FLASH;
}

static int wait_ready(uint32_t limit_us) {
  const uint64_t begun = ep_board_time_us();
  while ((status() & STATUS_BUSY) != 0u)
    if (ep_board_time_us() - begun > limit_us) return EP_ERR_FLASH;
  return EP_OK;
}

void ep_qemu_flash_init(void) {
  FMC_CONF |= FMC_CONF_WRITE0;
  select_chip(COMMAND_IDENTIFY);
  uint32_t make = 0;
  for (int i = 0; i < 3; i++) make = make << 8 | WINDOW8;
  deselect_chip();
  present = make == W25Q80BL;
}

static bool in_range(uint32_t address, uint32_t size) {
  return present && address <= EP_MAP_FLASH_SIZE && size <= EP_MAP_FLASH_SIZE - address;
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  if (!in_range(address, size)) return EP_ERR_FLASH;
  uint8_t *out = buffer;
  select_chip(COMMAND_READ);
  send_address(address);
  for (; size >= 4u; size -= 4u, out += 4u) {
    const uint32_t word = WINDOW32;
    memcpy(out, &word, sizeof word);
  }
  for (; size > 0u; size--) *out++ = WINDOW8;
  deselect_chip();
  return EP_OK;
}

int ep_board_flash_erase(uint32_t address) {
  if (!in_range(address, EP_MAP_FLASH_ERASE_SIZE) || address % EP_MAP_FLASH_ERASE_SIZE != 0u)
    return EP_ERR_FLASH;
  const int err = write_enable();
  if (err) return err;
  select_chip(COMMAND_ERASE_4K);
  send_address(address);
  deselect_chip();
  return wait_ready(ERASE_LIMIT_US);
}

int ep_board_flash_program(uint32_t address, const void *data, uint32_t size) {
  if (!in_range(address, size) || address % EP_FLASH_UNIT != 0u || size % EP_FLASH_UNIT != 0u)
    return EP_ERR_FLASH;
  /* the chip wraps round inside its page there (section 11.2.14); QEMU's runs on */
  if (address % EP_MAP_FLASH_PROGRAM_MAX + size > EP_MAP_FLASH_PROGRAM_MAX) return EP_ERR_FLASH;
  const int err = write_enable();
  if (err) return err;
  const uint8_t *in = data;
  select_chip(COMMAND_PROGRAM);
  send_address(address);
  for (; size > 0u; size -= 4u, in += 4u) {
    uint32_t word;
    memcpy(&word, in, sizeof word);
    WINDOW32 = word;
  }
  deselect_chip();
  return wait_ready(PROGRAM_LIMIT_US);
}
