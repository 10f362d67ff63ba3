/* A model of the STM32L552 that keeps to the reference manual (RM0438) and has no patience: what silicon
 * would answer with a stall, a fault or nonsense, it counts as a violation and prints. The drivers under test
 * are compiled with clang's -fsanitize-coverage=trace-loads,trace-stores, which calls chip.c before each
 * access: so it sees every read and every write of a register, in order, also one that changes nothing.
 *
 * * An access takes 0.1 µs. Interrupts come between two accesses, as their priorities and PRIMASK let them.
 */
#ifndef EP_TESTS_STM32L552_CHIP_H
#define EP_TESTS_STM32L552_CHIP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#define CHIP_FLASH      0x08000000u
#define CHIP_FLASH_SIZE 0x40000u
#define CHIP_OPTIONS    0x0C400000u /* as a chip comes, with nSWBOOT0, nBOOT0 and DBANK set */
#define CHIP_BOOT       0x0800707Fu /* NSBOOTADD0R: 0x08007000, and ones below it */
#define CHIP_TX_MAX     8192u
#define CHIP_TRACE_MAX  64u
#define CHIP_FIFO       8u

/* What doesn't come up. */
#define DEAD_VOLTAGE 1u
#define DEAD_HSI     2u
#define DEAD_PLL     4u
#define DEAD_WAITS   8u
#define DEAD_SWITCH  16u
#define DEAD_IWDG    32u
#define DEAD_ADC     64u

typedef struct {
  uint64_t now_ns;
  uint32_t violations;
  uint32_t dead;    /* DEAD_ bits */
  jmp_buf on_reset; /* where a reset leads */
  uint32_t resets;  /* by AIRCR */
  uint32_t sleeps;  /* WFI */
  bool masked;      /* PRIMASK */
  bool nmi;         /* raised, not yet taken */
  bool in_handler;
  uint64_t tick_ns; /* when the next scan is due; 0: none */
  uint32_t scan_us; /* what a scan takes */
  uint32_t scans;
  uint64_t enabled[2]; /* NVIC: interrupts 0 to 127 */
  void (*flash_handler)(void);
  void (*serial_handler)(void);
  void (*nmi_handler)(void);
  struct {
    bool locked;
    bool dead;           /* a wrong key: locked until the next reset */
    uint32_t keys;       /* right ones so far */
    uint32_t control;    /* NSCR without LOCK */
    uint32_t status;     /* NSSR without BSY */
    uint32_t ecc;        /* ECCR */
    uint64_t busy_until; /* ns; 0: idle */
    bool erasing;
    uint32_t address; /* of the operation */
    uint32_t words[2];
    bool first;          /* the first word of a double word is there */
    uint32_t buffered;   /* double word that was read last: read again, no error is told */
    uint32_t stuck;      /* operations that never end from now on, if 1 */
    uint32_t fails_with; /* error bits of the next operation, which then does nothing */
    uint32_t erases;
    uint32_t programs;
    uint32_t reads;       /* of cells */
    uint32_t foreign_nmi; /* the so-manieth read of a cell from now meets an NMI of somebody else; 0: none */
    uint8_t cells[CHIP_FLASH_SIZE];
    uint8_t bad[CHIP_FLASH_SIZE / 8u]; /* wrong bits in a double word: 1 is mended, 2 are not */
  } flash;
  struct {
    uint8_t in[CHIP_FIFO], out[CHIP_FIFO];
    uint32_t in_count, out_count;
    bool overrun;
    uint32_t sent;
    uint8_t line[CHIP_TX_MAX];
  } uart;
  struct {
    uint32_t room; /* words that the trace port still takes */
    uint32_t count;
    uint32_t words[CHIP_TRACE_MAX];
  } trace;
  struct {
    bool started, unlocked;
    uint32_t busy; /* reads until the status is 0 */
    uint32_t reloads;
    bool reloaded_before_settled;
  } dog;
  uint32_t torn_periods; /* writes to an output while the timer takes over what is written */
  uint32_t adc[16];      /* what a conversion of each input gives */
} chip_t;

extern chip_t chip;

/* A chip after power-on, with a blank flash. */
void chip_init(void);

/* What lies in a register now, and puts something there, without side effects. */
uint32_t chip_register(uint32_t address);
void chip_set(uint32_t address, uint32_t value);

/* Ends what the last access began. */
void chip_settle(void);

/* Lets time go by. */
void chip_wait_us(uint32_t micros);

/* A byte comes in on the line; so many bytes of the transmit FIFO go out. */
void chip_receive(uint8_t byte);
void chip_transmit(uint32_t count);

bool chip_enabled(uint32_t irq);

/* Lets `statement` run and tells whether it ended in a reset. */
#define RESETS(statement) (setjmp(chip.on_reset) == 0 ? ((statement), false) : true)

#endif
