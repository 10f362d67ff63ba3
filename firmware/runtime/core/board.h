/* What a board offers to the runtime. Everything the runtime knows of hardware goes through this
 * header; every board implements all of it, in its own folder, and nothing else of the runtime.
 *
 * Two contexts exist. The *scan interrupt* calls ep_runtime_scan(); the *main loop* calls
 * ep_runtime_poll(). Functions marked [scan] may be called from both and must run from SRAM, since the
 * flash may be busy at that time; all others are called by the main loop alone.
 */
#ifndef EP_CORE_BOARD_H
#define EP_CORE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EP_BOARD_ID_SIZE     12u
#define EP_BOARD_MAX_INPUTS  8u
#define EP_BOARD_MAX_OUTPUTS 6u

/* Where things lie in flash and what the flash can do. All addresses are in bytes, as
 * ep_board_flash_read() takes them. Constant for the life of an image (`sim`: of an instance). */
typedef struct {
  uint32_t slot_address[2];   /* slot A, slot B; each 14 KiB, a multiple of erase_size apart */
  uint32_t journal_address;   /* two halves, one after the other */
  uint32_t journal_half_size; /* bytes, a multiple of erase_size */
  uint32_t erase_size;        /* bytes that one erase sets to 0xFF; a power of two */
  uint32_t program_max;       /* largest program operation, bytes; one never crosses a multiple of it */
  uint32_t board_class;       /* 1 sim, 2 qemu, 3 stm32l552 */
  uint32_t tick_us;           /* scan tick */
  uint32_t nanos_per_fuel;    /* worst case, measured */
  uint32_t inputs;            /* channels of the process image, <= EP_BOARD_MAX_INPUTS */
  uint32_t outputs;           /* <= EP_BOARD_MAX_OUTPUTS */
  float fail_safe[EP_BOARD_MAX_OUTPUTS]; /* each output's default fail-safe value */
} ep_board_map_t;

/* Program unit of every board: flash is programmed in aligned multiples of so many bytes, each unit at
 * most once after an erase (on the STM32L5 a double word carries ECC, RM0438 section 6.3.7). */
#define EP_FLASH_UNIT 8u

const ep_board_map_t *ep_board_map(void); /* [scan] */

/* ---- flash ---------------------------------------------------------------------------------- */

/* Any of the three may also answer EP_ERR_OPTION_BYTES: the chip isn't set up as the board's map needs it, and its flash
 * is left alone. The runtime then stays in safe mode and tells the host so. */

/* Reads `size` bytes. EP_OK, EP_ERR_ECC (a unit in the range can't be read; the buffer's contents are
 * then undefined) or EP_ERR_FLASH. */
int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size);

/* Erases the page that starts at `address` (aligned to erase_size). Blocks; scans go on meanwhile.
 * EP_OK or EP_ERR_FLASH. */
int ep_board_flash_erase(uint32_t address);

/* Programs `size` bytes, a multiple of EP_FLASH_UNIT at a multiple of it; the caller splits at
 * multiples of program_max. Doesn't read back. EP_OK or EP_ERR_FLASH. */
int ep_board_flash_program(uint32_t address, const void *data, uint32_t size);

/* ---- serial link (interrupt-driven on both sides, 8N1) -------------------------------------- */

/* Takes up to `size` received bytes out of the receive ring; returns how many. */
uint32_t ep_board_serial_read(uint8_t *buffer, uint32_t size);

/* Puts up to `size` bytes into the transmit ring; returns how many fitted. */
uint32_t ep_board_serial_write(const uint8_t *data, uint32_t size);

/* Bytes lost since boot because the receive ring was full. */
uint32_t ep_board_serial_overruns(void);

/* ---- time, scans, watchdog ------------------------------------------------------------------ */

/* Microseconds since boot by a free-running timer, monotonic. [scan] */
uint64_t ep_board_time_us(void);

/* Starts the scan interrupt, which calls ep_runtime_scan() every tick_us. */
void ep_board_scan_start(void);

/* Masks the scan interrupt and gives back what to pass to ep_board_scan_unmask(). Nests. The main
 * loop holds it for a few instructions only. */
uint32_t ep_board_scan_mask(void);
void ep_board_scan_unmask(uint32_t state);

/* Arms the hardware watchdog (period 150 ms or less), and feeds it. [scan] for the kick. */
void ep_board_watchdog_start(void);
void ep_board_watchdog_kick(void);

/* Bounded units of long jobs; the main loop tells each so that it counts as alive, and so that `sim`
 * can charge the time that an Arm core needs for it. */
typedef enum {
  EP_WORK_LOOP,           /* one turn of the main loop */
  EP_WORK_ED25519_STEP,   /* 1/256 of a signature check */
  EP_WORK_SHA512_BLOCK,   /* 128 bytes hashed */
  EP_WORK_CRC_BLOCK,      /* 256 bytes */
  EP_WORK_COPY_BLOCK,     /* 256 bytes read from flash */
  EP_WORK_VALIDATE_BLOCK, /* 64 bytes of code validated */
  EP_WORK_FUEL_SLICE,     /* EP_FUEL_SLICE fuel interpreted in the main loop */
  EP_WORK_COUNT
} ep_work_t;

#define EP_FUEL_SLICE 2048u

/* Called after each unit of work. The board calls ep_runtime_alive(), and does what it has to besides
 * (`sim`: lets time pass). */
void ep_board_work(ep_work_t unit);

/* Nothing to do until the next interrupt: sleeps, or spins where scans are counted. */
void ep_board_idle(void);

/* ---- process image -------------------------------------------------------------------------- */

/* Latches all input channels. [scan] */
void ep_board_inputs_read(float *inputs, uint32_t count);

/* Applies all outputs together. `swap_number` is that of the agent that made them, 0 in safe mode;
 * boards that have an outside observer send it a stamped copy. [scan] */
void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number);

/* ---- reset and identity --------------------------------------------------------------------- */

typedef enum {
  EP_RESET_POWER_ON,
  EP_RESET_REQUESTED, /* ep_board_reset() */
  EP_RESET_WATCHDOG,
  EP_RESET_FAULT /* a CPU fault; the fault handler noted it and reset */
} ep_reset_cause_t;

/* Why the board started; the same answer for the whole boot. */
ep_reset_cause_t ep_board_reset_cause(void);

/* Resets the board. Does not return. */
void ep_board_reset(void) __attribute__((noreturn));

/* 12 bytes that name this board among all others. */
void ep_board_id(uint8_t id[EP_BOARD_ID_SIZE]);

/* Bytes of the main stack ever used; 0 where the board can't tell. */
uint32_t ep_board_stack_high_water(void);

/* ---- what a board calls --------------------------------------------------------------------- */

/* Once, after the board is up: starts the scans, boots the hot-swap engine, arms the watchdog. */
void ep_runtime_start(void);

/* For ever, from the main loop. */
void ep_runtime_poll(void);

/* From the scan interrupt, every tick. [scan] */
void ep_runtime_scan(void);

/* The main loop lives; from ep_board_work(). */
void ep_runtime_alive(void);

#endif
