#include "flash.h"

#include <string.h>

#include "core/board.h"
#include "defects.h"
#include "errors.h"

#define EP_FLASH_PIECE 32u
#define EP_FLASH_TRIES 3u

static bool ep_flash_is_blank(const uint8_t *bytes, uint32_t size) {
  uint8_t all = 0xFFu;
  for (uint32_t i = 0; i < size; i++) all &= bytes[i];
  return all == 0xFFu;
}

int ep_flash_fetch(uint32_t address, void *buffer, uint32_t size) {
  int error = EP_ERR_ECC;
  for (uint32_t tries = 0; tries < EP_FLASH_TRIES && error != EP_OK; tries++) {
    error = ep_board_flash_read(address, buffer, size);
  }
  return error;
}

int ep_flash_compare(uint32_t address, const void *data, uint32_t size) {
  uint8_t piece[EP_FLASH_PIECE];
  for (uint32_t done = 0; done < size; done += EP_FLASH_PIECE) {
    uint32_t part = size - done < EP_FLASH_PIECE ? size - done : EP_FLASH_PIECE;
    int error = ep_flash_fetch(address + done, piece, part);
    if (error != EP_OK) return error;
    if (data != NULL ? memcmp(piece, (const uint8_t *)data + done, part) != 0
                     : !ep_flash_is_blank(piece, part)) {
      return EP_ERR_READ_BACK;
    }
  }
  return EP_OK;
}

ep_flash_state_t ep_flash_read(uint32_t address, void *buffer, uint32_t size) {
  if (ep_flash_fetch(address, buffer, size) != EP_OK ||
      (!EP_DEFECT(READ_ONCE) && (ep_flash_compare(address, buffer, size) != EP_OK ||
                                 ep_flash_compare(address, buffer, size) != EP_OK))) {
    return EP_FLASH_TORN;
  }
  return ep_flash_is_blank(buffer, size) ? EP_FLASH_BLANK : EP_FLASH_DATA;
}

int ep_flash_erase(ep_flash_t *flash, uint32_t address) {
  int error = ep_board_flash_erase(address & ~(ep_board_map()->erase_size - 1u));
  flash->erases++;
  ep_board_work(EP_WORK_COPY_BLOCK);
  return error;
}

int ep_flash_program(ep_flash_t *flash, uint32_t address, const void *data, uint32_t size) {
  uint32_t most = ep_board_map()->program_max;
  for (uint32_t done = 0, part; done < size; done += part) {
    int error;
    part = most - (address + done) % most;
    if (part > size - done) part = size - done;
    error = ep_board_flash_program(address + done, (const uint8_t *)data + done, part);
    flash->programs++;
    if (error != EP_OK) return error;
  }
  ep_board_work(EP_WORK_COPY_BLOCK);
  return ep_flash_compare(address, data, size);
}
