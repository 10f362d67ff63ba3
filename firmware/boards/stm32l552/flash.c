/* The embedded flash, bank 1 alone: 2 KiB pages, double words that carry ECC and are programmed once after an
 * erase (RM0438, section 6). Everything here runs from SRAM, since the bank can't be read while it erases or
 * programs. ICACHE stays off: what is read here is what the cells hold, ECC checked. */
#include <string.h>

#include "board.h"
#include "core/board.h"
#include "errors.h"
#include "memory_map.h"
#include "stm32l552.h"

/* Over twice what a page erase (22 ms) and a double word (below 0.1 ms) take. */
#define ERASE_LIMIT_US   50000u
#define PROGRAM_LIMIT_US 260u

static struct {
  bool usable;           /* the option bytes are as the map needs them */
  volatile bool reading; /* an NMI now is about what we read */
  volatile bool ecc_failed;
} flash;

/* Two banks, so that pages are 2 KiB and the one that is erased is the one that is meant; not swapped, so
 * that bank 1 is where the map begins; no TrustZone, or half of these registers were others; and the board
 * comes back from a reset: by pin or by option bit it takes the first boot address, and that is the runtime. */
static bool options_fit(void) {
  const uint32_t options = FLASH_OPTR;
  return (options & (OPTR_DBANK | OPTR_SWAP_BANK | OPTR_TZEN)) == OPTR_DBANK &&
         (options & (OPTR_NSWBOOT0 | OPTR_NBOOT0)) != 0u &&
         (FLASH_NSBOOTADD0R & NSBOOTADD0R_FIELD) == EP_MAP_RUNTIME_BASE;
}

void ep_stm32_flash_init(void) {
  flash.usable = options_fit();
  interrupt_enable(FLASH_IRQ, PRIORITY_SCAN);
}

/* The NMI is the flash's word for a double word that can't be read. Of any other read than the driver's, it
 * is a fault. */
void ep_stm32_nmi(void) {
  const uint32_t detected = FLASH_ECCR & ECCR_DETECTED;
  if (detected == 0u || !flash.reading) ep_stm32_fault();
  FLASH_ECCR = detected; /* written back as 1 = cleared */
  flash.ecc_failed = true;
}

/* An operation has ended. Locking the controller also ends the interrupt; the flags stay for whoever waits,
 * and one who has given up waiting leaves no open controller. */
void ep_stm32_flash_interrupt(void) {
  FLASH_NSCR = NSCR_LOCK;
}

static int check_range(uint32_t address, uint32_t size) {
  const uint32_t offset = address - EP_MAP_FLASH_BASE;
  if (!flash.usable) return EP_ERR_OPTION_BYTES;
  return offset <= EP_MAP_FLASH_SIZE && size <= EP_MAP_FLASH_SIZE - offset ? EP_OK : EP_ERR_FLASH;
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  const int err = check_range(address, size);
  if (err) return err;
  uint8_t *out = buffer;
  FLASH_ECCR = ECCR_CORRECTED; /* a flag that is up hides what comes after it */
  flash.ecc_failed = false;
  flash.reading = true;
  barrier();
  for (uint32_t step; size > 0u && !flash.ecc_failed; address += step, out += step, size -= step) {
    step = address % 4u == 0u && size >= 4u ? 4u : 1u;
    if (step == 4u) {
      const uint32_t word = REG32(address);
      memcpy(out, &word, sizeof word);
    } else {
      *out = REG8(address);
    }
  }
  barrier(); /* an NMI of the last read has been taken when this is over */
  /* the same place read once more might come from the controller's buffer, with no word of the error */
  if (flash.ecc_failed) (void)REG32(EP_MAP_RUNTIME_BASE);
  barrier();
  flash.reading = false;
  return flash.ecc_failed ? EP_ERR_ECC : EP_OK;
}

/* Sleeps until the controller is ready. Interrupts are masked while it decides to, but do wake the core: so
 * the end of the operation can't slip in between, and a scan that is due runs right after. The scan's tick
 * also bounds the sleep. */
static int wait_ready(uint32_t limit_us) {
  const uint32_t begun = (uint32_t)ep_board_time_us();
  for (;;) {
    /* the time first: a scan that comes between the two may last longer than the limit */
    const bool late = (uint32_t)ep_board_time_us() - begun > limit_us;
    const uint32_t state = interrupts_off();
    const bool busy = (FLASH_NSSR & NSSR_BSY) != 0u;
    if (busy && !late) wait_for_interrupt();
    interrupts_restore(state);
    if (!busy) return EP_OK;
    if (late) return EP_ERR_FLASH;
  }
}

/* Two keys in a row; a wrong sequence locks the register until the next reset. */
static int begin(uint32_t operation, uint32_t limit_us) {
  if (wait_ready(limit_us)) return EP_ERR_FLASH;
  FLASH_NSSR = NSSR_ERRORS | NSSR_EOP; /* left over from before: they would block the operation */
  if ((FLASH_NSCR & NSCR_LOCK) != 0u) {
    FLASH_NSKEYR = FLASH_KEY1;
    FLASH_NSKEYR = FLASH_KEY2;
  }
  if ((FLASH_NSCR & NSCR_LOCK) != 0u) return EP_ERR_FLASH;
  FLASH_NSCR = operation | NSCR_EOPIE | NSCR_ERRIE;
  return EP_OK;
}

/* Good is what has ended, says so, and complains of nothing. While the controller is busy, a write to its
 * register would stall: an operation that outlasts the limit is locked by the interrupt at its end. */
static int finish(uint32_t limit_us) {
  barrier();
  if (wait_ready(limit_us)) return EP_ERR_FLASH;
  const uint32_t status = FLASH_NSSR & (NSSR_ERRORS | NSSR_EOP);
  FLASH_NSSR = status;
  FLASH_NSCR = NSCR_LOCK;
  return status == NSSR_EOP ? EP_OK : EP_ERR_FLASH;
}

int ep_board_flash_erase(uint32_t address) {
  const uint32_t page = (address - EP_MAP_FLASH_BASE) / EP_MAP_FLASH_ERASE_SIZE;
  int err = check_range(address, EP_MAP_FLASH_ERASE_SIZE);
  if (err) return err;
  if (address % EP_MAP_FLASH_ERASE_SIZE != 0u) return EP_ERR_FLASH;
  err = begin(NSCR_PER | NSCR_PNB(page), ERASE_LIMIT_US); /* BKER clear: bank 1 */
  if (err) return err;
  FLASH_NSCR |= NSCR_STRT;
  return finish(ERASE_LIMIT_US);
}

int ep_board_flash_program(uint32_t address, const void *data, uint32_t size) {
  const uint8_t *in = data;
  int err = check_range(address, size);
  if (err) return err;
  if (address % EP_FLASH_UNIT != 0u || size % EP_FLASH_UNIT != 0u) return EP_ERR_FLASH;
  for (; size > 0u && !err; address += EP_FLASH_UNIT, in += EP_FLASH_UNIT, size -= EP_FLASH_UNIT) {
    uint32_t words[2];
    memcpy(words, in, sizeof words);
    err = begin(NSCR_PG, PROGRAM_LIMIT_US);
    if (err) return err;
    REG32(address) = words[0];
    barrier(); /* keeps the two from being merged or turned round; the second one starts the programming */
    REG32(address + 4u) = words[1];
    err = finish(PROGRAM_LIMIT_US);
  }
  return err;
}
