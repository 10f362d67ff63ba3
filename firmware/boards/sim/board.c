/* The board inside Node: every function of core/board.h is an import of WebAssembly module "sim", given by
 * src/board.ts. The map comes from there too, since one image serves every geometry.
 *
 * The scan interrupt is a call of sim_scan() from within an import: time passes only there. The C stack of
 * the interrupted call lies above __stack_pointer at that moment, so the interrupt can't disturb it.
 */
#include "core/board.h"

#include "errors.h"
#include "process.h"

#define IMPORT(name) __attribute__((import_module("sim"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(flash_read) int sim_flash_read(uint32_t address, void *buffer, uint32_t size);
IMPORT(flash_erase) int sim_flash_erase(uint32_t address);
IMPORT(flash_program) int sim_flash_program(uint32_t address, const void *data, uint32_t size);
IMPORT(serial_read) uint32_t sim_serial_read(uint8_t *buffer, uint32_t size);
IMPORT(serial_write) uint32_t sim_serial_write(const uint8_t *data, uint32_t size);
IMPORT(serial_overruns) uint32_t sim_serial_overruns(void);
IMPORT(time_us) double sim_time_us(void);
IMPORT(scan_start) void sim_scan_start(void);
IMPORT(scan_mask) uint32_t sim_scan_mask(void);
IMPORT(scan_unmask) void sim_scan_unmask(uint32_t state);
IMPORT(watchdog_start) void sim_watchdog_start(void);
IMPORT(watchdog_kick) void sim_watchdog_kick(void);
IMPORT(work) void sim_work(uint32_t unit);
IMPORT(idle) void sim_idle(void);
IMPORT(scan_due_us) double sim_scan_due_us(void);
IMPORT(inputs_read) uint32_t sim_inputs_read(float *inputs, uint32_t count);
IMPORT(outputs_write)
void sim_outputs_write(const float *outputs, uint32_t count, double scan, uint32_t swap_number);
IMPORT(reset_cause) uint32_t sim_reset_cause(void);
IMPORT(reset) _Noreturn void sim_reset(void);
IMPORT(board_id) void sim_board_id(uint8_t *id);

static ep_board_map_t map;
static ep_process_t process = EP_PROCESS_START;

/* src/board.ts fills the map in this order before it calls sim_start(). */
_Static_assert(sizeof(ep_board_map_t) == (11u + EP_BOARD_MAX_OUTPUTS) * 4u, "map layout, see src/board.ts");
_Static_assert(offsetof(ep_board_map_t, erase_size) == 16u, "map layout, see src/board.ts");
_Static_assert(offsetof(ep_board_map_t, fail_safe) == 44u, "map layout, see src/board.ts");

EXPORT(sim_map) ep_board_map_t *sim_map(void);
ep_board_map_t *sim_map(void) {
  return &map;
}

EXPORT(sim_start) void sim_start(void);
void sim_start(void) {
  ep_runtime_start();
}

EXPORT(sim_poll) void sim_poll(void);
void sim_poll(void) {
  ep_runtime_poll();
}

EXPORT(sim_scan) void sim_scan(void);
void sim_scan(void) {
  ep_runtime_scan();
}

/* The flash model answers 0, 1 (a unit can't be read) or 2 (any other failure). */
static int flash_result(int result) {
  if (result == 0) return EP_OK;
  return result == 1 ? EP_ERR_ECC : EP_ERR_FLASH;
}

const ep_board_map_t *ep_board_map(void) {
  return &map;
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  return flash_result(sim_flash_read(address, buffer, size));
}

int ep_board_flash_erase(uint32_t address) {
  return flash_result(sim_flash_erase(address));
}

int ep_board_flash_program(uint32_t address, const void *data, uint32_t size) {
  return flash_result(sim_flash_program(address, data, size));
}

uint32_t ep_board_serial_read(uint8_t *buffer, uint32_t size) {
  return sim_serial_read(buffer, size);
}

uint32_t ep_board_serial_write(const uint8_t *data, uint32_t size) {
  return sim_serial_write(data, size);
}

uint32_t ep_board_serial_overruns(void) {
  return sim_serial_overruns();
}

/* A double holds every integer up to 2^53, which is 285 years of microseconds. */
uint64_t ep_board_time_us(void) {
  return (uint64_t)sim_time_us();
}

void ep_board_scan_start(void) {
  sim_scan_start();
}

uint32_t ep_board_scan_mask(void) {
  return sim_scan_mask();
}

void ep_board_scan_unmask(uint32_t state) {
  sim_scan_unmask(state);
}

void ep_board_watchdog_start(void) {
  sim_watchdog_start();
}

void ep_board_watchdog_kick(void) {
  sim_watchdog_kick();
}

void ep_board_work(ep_work_t unit) {
  ep_runtime_alive();
  sim_work((uint32_t)unit);
}

void ep_board_idle(void) {
  sim_idle();
}

/* A test may bring its own inputs; else the board stands in the same process as the qemu board. */
void ep_board_inputs_read(float *inputs, uint32_t count) {
  if (sim_inputs_read(inputs, count) == 0u)
    ep_process_inputs(&process, (uint64_t)sim_scan_due_us(), inputs, count);
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  ep_process_outputs(&process, outputs, count);
  sim_outputs_write(outputs, count, (double)scan, swap_number);
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return (ep_reset_cause_t)sim_reset_cause();
}

void ep_board_reset(void) {
  sim_reset();
}

void ep_board_id(uint8_t id[EP_BOARD_ID_SIZE]) {
  sim_board_id(id);
}

/* The C stack starts at __stack_pointer's first value and the compiler keeps part of it in WebAssembly
 * locals: a number from here would say nothing about the Arm image. */
uint32_t ep_board_stack_high_water(void) {
  return 0;
}
