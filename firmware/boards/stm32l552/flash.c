/* The embedded flash, bank 1 alone: 2 KiB pages, double words that carry ECC and are programmed once
 * after an erase. Everything here runs from SRAM, since the bank can't be read while it erases or programs.
 * ICACHE stays off: what is read here is what the cells hold, ECC checked. */
#include "board.h"
#include "core/board.h"
#include "errors.h"
#include "memory_map.h"
#include "stm32l552.h"

/* Over twice what a page erase (22 ms) and a double word (below 0.1 ms) take. */
#define ERASE_LIMIT_US   50000u
#define PROGRAM_LIMIT_US 260u

static struct {
  bool usable;           /* the option bits are as the map needs them */
  volatile bool reading; /* an NMI now is about what we read */
  volatile bool ecc_failed;
} flash;

void ep_stm32_flash_init(void) {
  /* two banks, so that pages are 2 KiB; not swapped, so that bank 1 is where the map begins */
  flash.usable = (FLASH_OPTR & (OPTR_DBANK | OPTR_SWAP_BANK | OPTR_TZEN)) == OPTR_DBANK;
}

bool ep_stm32_flash_ecc_failed(void) {
  const uint32_t detected = FLASH_ECCR & (ECCR_ECCD | ECCR_ECCD2);
  if (detected == 0u || !flash.reading) return false;
  FLASH_ECCR = detected; /* written back as 1 = cleared */
  flash.ecc_failed = true;
  return true;
}

static bool in_range(uint32_t address, uint32_t size) {
  return flash.usable && address >= EP_MAP_FLASH_BASE && address - EP_MAP_FLASH_BASE <= EP_MAP_FLASH_SIZE &&
         size <= EP_MAP_FLASH_SIZE - (address - EP_MAP_FLASH_BASE);
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  if (!in_range(address, size)) return EP_ERR_FLASH;
  const volatile uint8_t *in = (const volatile uint8_t *)(uintptr_t)address;
  uint8_t *out = buffer;
  flash.ecc_failed = false;
  flash.reading = true;
  barrier();
  for (uint32_t i = 0; i < size && !flash.ecc_failed; i++) out[i] = in[i];
  barrier(); /* an NMI of the last read has been taken when this is over */
  flash.reading = false;
  return flash.ecc_failed ? EP_ERR_ECC : EP_OK;
}

static int wait_ready(uint32_t limit_us) {
  const uint64_t begun = ep_board_time_us();
  for (;;) {
    /* the time first: a scan that comes between the two may last longer than the limit */
    const bool late = ep_board_time_us() - begun > limit_us;
    if ((FLASH_NSSR & NSSR_BSY) == 0u) return EP_OK;
    if (late) return EP_ERR_FLASH;
  }
}

/* Two keys in a row; a wrong sequence locks the register until the next reset. */
static int unlock(uint32_t limit_us) {
  if (wait_ready(limit_us)) return EP_ERR_FLASH;
  if ((FLASH_NSCR & NSCR_LOCK) != 0u) {
    FLASH_NSKEYR = FLASH_KEY1;
    FLASH_NSKEYR = FLASH_KEY2;
  }
  if ((FLASH_NSCR & NSCR_LOCK) != 0u) return EP_ERR_FLASH;
  FLASH_NSSR = NSSR_ERRORS | NSSR_EOP; /* left over from before: they would block the operation */
  return EP_OK;
}

/* Waits for the end, then locks the controller again whatever came of it. */
static int finish(uint32_t limit_us) {
  int err = wait_ready(limit_us);
  const uint32_t status = FLASH_NSSR;
  if ((status & NSSR_ERRORS) != 0u) err = EP_ERR_FLASH;
  FLASH_NSSR = status & (NSSR_ERRORS | NSSR_EOP);
  FLASH_NSCR = NSCR_LOCK;
  return err;
}

int ep_board_flash_erase(uint32_t address) {
  if (!in_range(address, EP_MAP_FLASH_ERASE_SIZE) || address % EP_MAP_FLASH_ERASE_SIZE != 0u)
    return EP_ERR_FLASH;
  const int err = unlock(ERASE_LIMIT_US);
  if (err) return err;
  const uint32_t page = (address - EP_MAP_FLASH_BASE) / EP_MAP_FLASH_ERASE_SIZE;
  FLASH_NSCR = NSCR_PER | NSCR_PNB(page); /* BKER clear: bank 1 */
  FLASH_NSCR |= NSCR_STRT;
  barrier();
  return finish(ERASE_LIMIT_US);
}

/* A double word is two words, the lower first; the second one starts the programming. */
static int program_unit(uint32_t address, const uint8_t *data) {
  uint32_t words[2];
  for (uint32_t i = 0; i < 2u; i++, data += 4)
    words[i] = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
  const int err = unlock(PROGRAM_LIMIT_US);
  if (err) return err;
  FLASH_NSCR = NSCR_PG;
  REG32(address) = words[0];
  barrier(); /* keeps the two from being merged or turned round */
  REG32(address + 4u) = words[1];
  barrier();
  return finish(PROGRAM_LIMIT_US);
}

int ep_board_flash_program(uint32_t address, const void *data, uint32_t size) {
  if (!in_range(address, size) || address % EP_FLASH_UNIT != 0u || size % EP_FLASH_UNIT != 0u)
    return EP_ERR_FLASH;
  const uint8_t *in = data;
  for (uint32_t done = 0; done < size; done += EP_FLASH_UNIT) {
    const int err = program_unit(address + done, in + done);
    if (err) return err;
  }
  return EP_OK;
}
