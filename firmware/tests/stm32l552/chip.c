#include "chip.h"

#include <stdio.h>
#include <string.h>

#include "access_model.h"

#define ACCESS_NS    100u
#define ERASE_NS     22000000u
#define PROGRAM_NS   90000u
#define NOTHING      UINT32_MAX
#define WINDOW_SIZE  0x2000u
#define NSSR_EOP     0x1u
#define NSSR_OPERR   0x2u
#define NSSR_PROGERR 0x8u
#define NSSR_PGAERR  0x20u
#define NSSR_SIZERR  0x40u
#define NSSR_PGSERR  0x80u
#define NSSR_ERRORS  0x20FAu
#define NSCR_PG      0x1u
#define NSCR_PER     0x2u
#define NSCR_BKER    0x800u
#define NSCR_STRT    0x10000u
#define NSCR_EOPIE   0x1000000u
#define NSCR_ERRIE   0x2000000u
#define NSCR_LOCK    0x80000000u
#define ECCR_FLAGS   0xF0000000u
#define ECCR_ECCC    0x40000000u
#define ECCR_ECCD    0x80000000u
#define UART_RXNEIE  0x20u
#define UART_TXEIE   0x80u
#define UART_FIFOEN  0x20000000u
#define FLASH_IRQ    6u
#define UART_IRQ     66u

chip_t chip;

static const uint32_t windows[] = {
    0x40000000u, /* TIM2, TIM3 */
    0x40003000u, /* IWDG */
    0x40007000u, /* PWR, LPUART1 */
    0x40021000u, /* RCC, FLASH */
    0x42020000u, /* GPIOA to GPIOH */
    0x42028000u, /* ADC */
    0x0BFA0000u, /* unique id */
    0xE0000000u, /* ITM */
    0xE000E000u, /* SysTick, NVIC, SCB */
    0xE0044000u, /* DBGMCU */
};
#define WINDOWS (sizeof windows / sizeof windows[0])

static _Alignas(8) uint8_t memory[WINDOWS][WINDOW_SIZE];

/* The write that is under way: its value is only there once it is over. */
static struct {
  uint32_t address;
  uint32_t size;
  uint8_t before[8];
} writing;

static void violation(const char *what, uint32_t address) {
  printf("# the chip at %llu ns: %s (0x%08x)\n", (unsigned long long)chip.now_ns, what, address);
  chip.violations++;
}

static uint8_t *place(uint32_t address) {
  if (address - CHIP_FLASH < CHIP_FLASH_SIZE) return chip.flash.cells + (address - CHIP_FLASH);
  for (uint32_t i = 0; i < WINDOWS; i++)
    if (address - windows[i] < WINDOW_SIZE) return memory[i] + (address - windows[i]);
  return NULL;
}

volatile void *chip_at(uint32_t address) {
  static uint64_t nowhere;
  uint8_t *at = place(address);
  if (at == NULL) violation("nothing is there", address);
  return at != NULL ? (void *)at : (void *)&nowhere;
}

/* The address of what the model keeps at `at`, or NOTHING if that is no part of the chip. */
static uint32_t address_of(const void *at) {
  const uintptr_t cell = (uintptr_t)at - (uintptr_t)chip.flash.cells;
  const uintptr_t byte = (uintptr_t)at - (uintptr_t)memory;
  if (cell < CHIP_FLASH_SIZE) return CHIP_FLASH + (uint32_t)cell;
  if (byte < sizeof memory) return windows[byte / WINDOW_SIZE] + (uint32_t)(byte % WINDOW_SIZE);
  return NOTHING;
}

uint32_t chip_register(uint32_t address) {
  uint32_t value;
  chip_settle();
  memcpy(&value, place(address), sizeof value);
  return value;
}

void chip_set(uint32_t address, uint32_t value) {
  memcpy(place(address), &value, sizeof value);
}

bool chip_enabled(uint32_t irq) {
  chip_settle();
  return (chip.enabled[irq / 64u] >> irq % 64u & 1u) != 0u;
}

/* ---- flash ------------------------------------------------------------------------------------ */

static void flash_end(void) {
  const uint32_t offset = chip.flash.address - CHIP_FLASH;
  if (chip.flash.busy_until == 0u || chip.flash.stuck != 0u || chip.now_ns < chip.flash.busy_until) return;
  chip.flash.busy_until = 0;
  if (chip.flash.fails_with != 0u) {
    /* a failure of the operation itself is only told to whoever asked for the interrupt */
    if ((chip.flash.control & NSCR_ERRIE) == 0u) chip.flash.fails_with &= ~NSSR_OPERR;
    chip.flash.status |= chip.flash.fails_with;
    chip.flash.fails_with = 0;
    return;
  }
  if (chip.flash.erasing) {
    memset(chip.flash.cells + offset, 0xFF, 2048);
    memset(chip.flash.bad + offset / 8u, 0, 2048 / 8u);
  } else {
    memcpy(chip.flash.cells + offset, chip.flash.words, 8);
  }
  if ((chip.flash.control & NSCR_EOPIE) != 0u) chip.flash.status |= NSSR_EOP;
}

static bool flash_line(void) {
  return ((chip.flash.status & NSSR_EOP) != 0u && (chip.flash.control & NSCR_EOPIE) != 0u) ||
         ((chip.flash.status & NSSR_ERRORS) != 0u && (chip.flash.control & NSCR_ERRIE) != 0u);
}

static void flash_key(uint32_t key) {
  static const uint32_t right[] = {0x45670123u, 0xCDEF89ABu};
  if (!chip.flash.locked) {
    violation("a key for a controller that is open", key);
  } else if (chip.flash.dead || key != right[chip.flash.keys]) {
    chip.flash.dead = true;
  } else if (++chip.flash.keys == 2u) {
    chip.flash.locked = false;
    chip.flash.keys = 0;
  }
}

static void flash_control(uint32_t value) {
  if (chip.flash.busy_until != 0u) {
    violation("the control register is written while the controller is busy: the bus stalls", value);
    return;
  }
  if (chip.flash.locked) {
    if (value != NSCR_LOCK) violation("a locked control register is written", value);
    return;
  }
  if ((value & NSCR_STRT) != 0u && (chip.flash.control & (NSCR_PER | NSCR_PG)) != NSCR_PER)
    violation("an erase begins without its page chosen before", value);
  chip.flash.control = value & ~(NSCR_LOCK | NSCR_STRT);
  chip.flash.locked = (value & NSCR_LOCK) != 0u;
  chip.flash.first = false;
  if ((value & NSCR_STRT) == 0u) return;
  if ((chip.flash.status & NSSR_ERRORS) != 0u) {
    chip.flash.status |= NSSR_PGSERR;
    return;
  }
  if ((value & NSCR_BKER) != 0u) violation("bank 2 is erased", value);
  chip.flash.erasing = true;
  chip.flash.address = CHIP_FLASH + (value >> 3 & 0x7Fu) * 2048u;
  chip.flash.busy_until = chip.now_ns + ERASE_NS;
  chip.flash.erases++;
}

static void flash_cell(uint32_t address, uint32_t value, uint32_t size) {
  uint64_t present;
  if (chip.flash.busy_until != 0u) {
    violation("a cell is written while the controller is busy", address);
  } else if (chip.flash.locked || (chip.flash.control & NSCR_PG) == 0u) {
    violation("a cell is written, and the controller is not open for it", address);
    chip.flash.status |= NSSR_PGSERR;
  } else if ((chip.flash.status & NSSR_ERRORS) != 0u) {
    chip.flash.status |= NSSR_PGSERR;
  } else if (size != 4u) {
    chip.flash.status |= NSSR_SIZERR;
  } else if (!chip.flash.first) {
    if (address % 8u != 0u) chip.flash.status |= NSSR_PGAERR;
    chip.flash.first = address % 8u == 0u;
    chip.flash.address = address;
    chip.flash.words[0] = value;
  } else if (address != chip.flash.address + 4u) {
    chip.flash.status |= NSSR_PGAERR;
  } else {
    chip.flash.first = false;
    chip.flash.words[1] = value;
    memcpy(&present, chip.flash.cells + (chip.flash.address - CHIP_FLASH), sizeof present);
    if (present != UINT64_MAX) {
      chip.flash.status |= NSSR_PROGERR;
      return;
    }
    chip.flash.erasing = false;
    chip.flash.busy_until = chip.now_ns + PROGRAM_NS;
    chip.flash.programs++;
  }
}

static void flash_read(uint32_t address) {
  const uint32_t unit = (address - CHIP_FLASH) / 8u;
  chip.flash.reads++;
  if (chip.flash.foreign_nmi > 0u && --chip.flash.foreign_nmi == 0u) chip.nmi = true;
  if (chip.flash.busy_until != 0u) violation("a cell is read while the controller is busy", address);
  if (chip.flash.bad[unit] != 0u && unit != chip.flash.buffered && (chip.flash.ecc & ECCR_FLAGS) == 0u) {
    chip.flash.ecc |= chip.flash.bad[unit] == 1u ? ECCR_ECCC : ECCR_ECCD;
    chip.nmi |= chip.flash.bad[unit] > 1u;
  }
  chip.flash.buffered = unit;
}

/* ---- serial line ------------------------------------------------------------------------------ */

static uint32_t uart_status(void) {
  return (chip.uart.overrun ? 0x8u : 0u) | (chip.uart.in_count > 0u ? 0x20u : 0u) |
         (chip.uart.out_count < CHIP_FIFO ? 0x80u : 0u);
}

static bool uart_line(void) {
  const uint32_t control = chip_register(0x40008000u), status = uart_status();
  return ((control & UART_RXNEIE) != 0u && (status & 0x28u) != 0u) ||
         ((control & UART_TXEIE) != 0u && (status & 0x80u) != 0u);
}

void chip_receive(uint8_t byte) {
  if (chip.uart.in_count == CHIP_FIFO)
    chip.uart.overrun = true;
  else
    chip.uart.in[chip.uart.in_count++] = byte;
}

void chip_transmit(uint32_t count) {
  for (; count > 0u && chip.uart.out_count > 0u; count--) {
    chip.uart.line[chip.uart.sent++ % CHIP_TX_MAX] = chip.uart.out[0];
    memmove(chip.uart.out, chip.uart.out + 1, --chip.uart.out_count);
  }
}

static uint8_t uart_take(void) {
  const uint8_t byte = chip.uart.in[0];
  if (chip.uart.in_count == 0u) {
    violation("an empty receiver is read", 0x40008024u);
    return 0;
  }
  memmove(chip.uart.in, chip.uart.in + 1, --chip.uart.in_count);
  return byte;
}

/* ---- interrupts and time ---------------------------------------------------------------------- */

static void handle(void (*handler)(void)) {
  chip.in_handler = true;
  handler();
  chip_settle();
  chip.in_handler = false;
}

static void take_irq(uint32_t irq, bool (*line)(void), void (*handler)(void)) {
  if (!line() || !chip_enabled(irq)) return;
  if (handler == NULL) {
    violation("an interrupt that nobody handles", irq);
    return;
  }
  handle(handler);
  /* more may have come meanwhile; but a line that its handler leaves up calls for ever */
  for (uint32_t again = 0; line(); again++) {
    if (again == 10000u) {
      violation("an interrupt that never ends", irq);
      return;
    }
    handle(handler);
    chip_transmit(1);
  }
}

static void interrupts(void) {
  if (chip.in_handler) return;
  if (chip.nmi) {
    chip.nmi = false;
    handle(chip.nmi_handler);
  }
  if (chip.masked) return;
  if (chip.tick_ns != 0u && chip.now_ns >= chip.tick_ns) {
    chip.scans++;
    chip.now_ns += 1000u * chip.scan_us;
    while (chip.tick_ns <= chip.now_ns) chip.tick_ns += 1000000u;
  }
  flash_end();
  take_irq(FLASH_IRQ, flash_line, chip.flash_handler);
  take_irq(UART_IRQ, uart_line, chip.serial_handler);
}

static void pass(uint32_t nanos) {
  chip.now_ns += nanos;
  flash_end();
  interrupts();
}

void chip_wait_us(uint32_t micros) {
  for (uint32_t i = 0; i < micros; i++) pass(1000);
}

void barrier(void) {
  chip_settle();
  pass(ACCESS_NS);
}

uint32_t interrupts_off(void) {
  const uint32_t state = chip.masked;
  chip_settle();
  chip.masked = true;
  return state;
}

void interrupts_restore(uint32_t state) {
  chip_settle();
  chip.masked = state != 0u;
  pass(ACCESS_NS);
}

uint32_t priority_raise(uint32_t level) {
  return interrupts_off() + 0u * level;
}

void priority_restore(uint32_t state) {
  interrupts_restore(state);
}

/* Until an interrupt is pending that is enabled, masked or not. */
void wait_for_interrupt(void) {
  chip_settle();
  chip.sleeps++;
  if (!chip.masked) violation("sleeps with interrupts on: one that came just before is lost", 0);
  for (uint32_t i = 0; i < 10000000u; i++) {
    flash_end();
    if (flash_line() && chip_enabled(FLASH_IRQ)) return;
    if (chip.tick_ns != 0u && chip.now_ns >= chip.tick_ns) return;
    chip.now_ns += ACCESS_NS;
  }
  violation("sleeps for ever", 0);
}

/* ---- reads and writes ------------------------------------------------------------------------- */

static uint32_t ready(uint32_t value, uint32_t on, uint32_t bit, uint32_t dead) {
  return (value & on) != 0u && (chip.dead & dead) == 0u ? value | bit : value & ~bit;
}

/* What a read will find, put where it will look. */
static void prepare(uint32_t address) {
  const uint32_t word = address & ~3u;
  uint32_t value;
  if (address - CHIP_FLASH < CHIP_FLASH_SIZE) {
    flash_read(address);
    return;
  }
  memcpy(&value, place(word), sizeof value);
  switch (word) {
  case 0x40000024u: /* TIM2_CNT, at 1 MHz */ value = (uint32_t)(chip.now_ns / 1000u); break;
  case 0x4000300Cu: /* IWDG_SR */
    value = chip.dog.busy > 0u ? 3u : 0u;
    if (chip.dog.busy > 0u && (chip.dead & DEAD_IWDG) == 0u) chip.dog.busy--;
    break;
  case 0x40007014u: /* PWR_SR2 */ value = (chip.dead & DEAD_VOLTAGE) != 0u ? 0x400u : 0u; break;
  case 0x4000801Cu: value = uart_status(); break;
  case 0x40008024u: value = uart_take(); break;
  case 0x40021000u: /* RCC_CR */
    value = ready(value, 1u << 8, 1u << 10, DEAD_HSI);
    value = ready(value, 1u << 24, 1u << 25, DEAD_PLL);
    break;
  case 0x40021008u: /* RCC_CFGR: SWS follows SW */
    value = (value & ~0xCu) | ((chip.dead & DEAD_SWITCH) != 0u ? 0u : (value & 3u) << 2);
    break;
  case 0x40022000u: /* FLASH_ACR */
    if ((chip.dead & DEAD_WAITS) != 0u) value = 0;
    break;
  case 0x40022020u: value = chip.flash.status | (chip.flash.busy_until != 0u ? 0x10000u : 0u); break;
  case 0x40022028u: value = chip.flash.control | 0x40000000u | (chip.flash.locked ? NSCR_LOCK : 0u); break;
  case 0x40022030u: value = chip.flash.ecc; break;
  case 0x42028000u: /* ADC_ISR: enabled, and a conversion is over at once */
    value = (chip.dead & DEAD_ADC) != 0u ? 0u : 5u;
    break;
  case 0x42028008u: /* ADC_CR: calibration is over at once */
    if ((chip.dead & DEAD_ADC) == 0u) value &= ~0x80000000u;
    break;
  case 0x42028040u: /* ADC_DR: of the input in SQR1 */
    value = chip.adc[chip_register(0x42028030u) >> 6 & 15u];
    break;
  case 0xE0000000u: value = chip.trace.room > 0u; break;
  default: return;
  }
  memcpy(place(word), &value, sizeof value);
}

static void written(uint32_t address, uint32_t value, uint32_t size) {
  if (address - CHIP_FLASH < CHIP_FLASH_SIZE) {
    flash_cell(address, value, size);
    return;
  }
  switch (address) {
  case 0x40000434u:
  case 0x40000438u:
  case 0x4000043Cu:
  case 0x40000440u: /* TIM3_CCR1 to 4; UDIS holds the taking over back */
    if ((chip_register(0x40000400u) & 2u) == 0u) chip.torn_periods++;
    break;
  case 0x40003000u: /* IWDG_KR */
    chip.dog.started |= value == 0xCCCCu;
    chip.dog.unlocked = value == 0x5555u;
    if (value == 0xAAAAu) {
      chip.dog.reloads++;
      chip.dog.reloaded_before_settled |= chip.dog.busy > 0u;
    }
    break;
  case 0x40003004u:
  case 0x40003008u: /* IWDG_PR, IWDG_RLR */
    if (!chip.dog.unlocked) violation("a register of the watchdog is written while it is locked", address);
    chip.dog.busy = 3;
    break;
  case 0x40008000u: /* CR1 */
    if ((value & UART_FIFOEN) != 0u && (writing.before[0] & 1u) != 0u && (writing.before[3] & 0x20u) == 0u)
      violation("the FIFOs are switched on while the receiver runs", address);
    break;
  case 0x40008020u: /* ICR */ chip.uart.overrun &= (value & 8u) == 0u; break;
  case 0x40008028u: /* TDR */
    if (chip.uart.out_count == CHIP_FIFO)
      violation("a full transmitter is written", address);
    else
      chip.uart.out[chip.uart.out_count++] = (uint8_t)value;
    break;
  case 0x40021008u: /* CFGR: to the PLL only when all is ready for 110 MHz, and in two steps */
    if ((value & 3u) == 3u) {
      if ((chip_register(0x40007000u) & 0x600u) != 0u) violation("110 MHz in too low a voltage range", value);
      if (chip_register(0x40022000u) != 5u) violation("110 MHz without the flash's wait states", value);
      if ((value & 0xF0u) != 0x80u && (writing.before[0] & 3u) != 3u)
        violation("over 80 MHz in one step", value);
    }
    break;
  case 0x40021094u: /* RCC_CSR: RMVF takes the flags away */
    if ((value & 1u << 23) != 0u) chip_set(address, 0);
    break;
  case 0x40022008u: flash_key(value); break;
  case 0x40022020u: chip.flash.status &= ~(value & (NSSR_ERRORS | NSSR_EOP)); break;
  case 0x40022028u: flash_control(value); break;
  case 0x40022030u: chip.flash.ecc &= ~(value & ECCR_FLAGS); break;
  case 0xE0000000u:
    if (chip.trace.room == 0u)
      violation("a full trace port is written", value);
    else
      chip.trace.room--;
    if (chip.trace.count < CHIP_TRACE_MAX) chip.trace.words[chip.trace.count++] = value;
    break;
  case 0xE000E100u:
  case 0xE000E104u:
  case 0xE000E108u:
    chip.enabled[(address - 0xE000E100u) / 8u] |= (uint64_t)value << (address % 8u * 8u);
    break;
  case 0xE000ED0Cu: /* AIRCR */
    if (value != 0x05FA0004u) break;
    chip.resets++;
    chip.in_handler = false;
    longjmp(chip.on_reset, 1);
  default: break;
  }
}

void chip_settle(void) {
  const uint32_t address = writing.address, size = writing.size;
  uint32_t value = 0;
  if (size == 0u) return;
  writing.size = 0;
  memcpy(&value, place(address), size);
  if (address - CHIP_FLASH < CHIP_FLASH_SIZE) memcpy(place(address), writing.before, size);
  written(address, value, size);
}

static void before_load(const void *at) {
  const uint32_t address = address_of(at);
  if (address == NOTHING) return;
  chip_settle();
  pass(ACCESS_NS);
  prepare(address);
}

static void before_store(const void *at, uint32_t size) {
  const uint32_t address = address_of(at);
  if (address == NOTHING) return;
  chip_settle();
  pass(ACCESS_NS);
  writing.address = address;
  writing.size = size;
  memcpy(writing.before, at, size);
}

/* What clang calls; the names are its own. */
void __sanitizer_cov_load1(uint8_t *at);
void __sanitizer_cov_load2(uint16_t *at);
void __sanitizer_cov_load4(uint32_t *at);
void __sanitizer_cov_load8(uint64_t *at);
void __sanitizer_cov_load16(void *at);
void __sanitizer_cov_store1(uint8_t *at);
void __sanitizer_cov_store2(uint16_t *at);
void __sanitizer_cov_store4(uint32_t *at);
void __sanitizer_cov_store8(uint64_t *at);
void __sanitizer_cov_store16(void *at);

void __sanitizer_cov_load1(uint8_t *at) {
  before_load(at);
}
void __sanitizer_cov_load2(uint16_t *at) {
  before_load(at);
}
void __sanitizer_cov_load4(uint32_t *at) {
  before_load(at);
}
void __sanitizer_cov_load8(uint64_t *at) {
  before_load(at);
}
void __sanitizer_cov_load16(void *at) {
  before_load(at);
}
void __sanitizer_cov_store1(uint8_t *at) {
  before_store(at, 1);
}
void __sanitizer_cov_store2(uint16_t *at) {
  before_store(at, 2);
}
void __sanitizer_cov_store4(uint32_t *at) {
  before_store(at, 4);
}
void __sanitizer_cov_store8(uint64_t *at) {
  before_store(at, 8);
}
void __sanitizer_cov_store16(void *at) {
  (void)at; /* nothing of the chip is as wide */
}

void chip_init(void) {
  memset(&chip, 0, sizeof chip);
  memset(memory, 0, sizeof memory);
  memset(chip.flash.cells, 0xFF, sizeof chip.flash.cells);
  writing.size = 0;
  chip.now_ns = 1000;
  chip.flash.locked = true;
  chip.flash.buffered = NOTHING;
  chip.tick_ns = 1000000;
  chip_set(0x40007000u, 0x400u);      /* PWR_CR1: range 2 */
  chip_set(0x40021000u, 0x63u);       /* RCC_CR: MSI at 4 MHz */
  chip_set(0x40021094u, 0x0C000000u); /* RCC_CSR: power-on, pin */
  chip_set(0x40022040u, CHIP_OPTIONS);
  chip_set(0x40022044u, CHIP_BOOT);
  chip_set(0x42020000u, 0xABFFFFFFu);
  for (uint32_t port = 1; port < 8u; port++) chip_set(0x42020000u + 0x400u * port, 0xFFFFFFFFu);
}
