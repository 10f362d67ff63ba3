/* The board's self-test: proves every promise of core/board.h that the runtime relies on, by commands over the link's
 * UART. One line in, one line out. tests/unit/qemu-board.test.ts plays it; a new port would begin with it too.
 *
 *   echo TEXT     TEXT
 *   cause         the reset cause, as a number
 *   id            24 hex digits
 *   flash         erases, programs and reads a scratch page in every way that board.h allows and forbids
 *   ticks N       runs N ticks; microseconds that they took, and the largest distance of two in a row from a tick
 *   mask          holds the scan interrupt for 5 ms; ticks seen meanwhile and after
 *   monotonic     reads the clock 20,000 times with ticks running; steps backwards
 *   stack         bytes of stack ever used
 *   overruns      bytes lost in reception
 *   deaf          doesn't read for 200 ms
 *   observe N     sends N observer frames, one a tick
 *   feed          arms the watchdog, feeds it for 400 ms, says so, then stops feeding it
 *   fault, jump, overflow   write to code, run data, and use up the stack: each is a fault
 *   reset         resets
 *   quit          leaves the emulator
 */
#include <string.h>

#include "board.h"
#include "core/board.h"
#include "errors.h"
#include "semihosting.h"

#define SCRATCH  0x20000u
#define LINE_MAX 200u

int main(void);

static volatile struct {
  uint32_t count;
  uint64_t last_us;
  uint32_t worst_us;
} ticks;

static volatile bool observe;

void ep_runtime_scan(void) {
  const uint64_t now = ep_board_time_us();
  const uint32_t step = (uint32_t)(now - ticks.last_us);
  const uint32_t tick = ep_board_map()->tick_us;
  const uint32_t off = step > tick ? step - tick : tick - step;
  if (ticks.count > 0u && off > ticks.worst_us) ticks.worst_us = off;
  ticks.last_us = now;
  ticks.count += 1u;
  if (observe) {
    float inputs[4];
    ep_board_inputs_read(inputs, 4);
    ep_board_outputs_write(inputs, 4, ticks.count, 7);
  }
}

void ep_runtime_alive(void) {
}

static void print(const char *text) {
  size_t size = 0;
  while (text[size] != '\0') size++;
  while (size > 0u) {
    const uint32_t sent = ep_board_serial_write((const uint8_t *)text, (uint32_t)size);
    text += sent;
    size -= sent;
    if (sent == 0u) ep_board_idle();
  }
}

static void print_number(uint32_t value) {
  char digits[11];
  char *digit = digits + sizeof digits - 1u;
  *digit = '\0';
  do {
    *--digit = (char)('0' + value % 10u);
    value /= 10u;
  } while (value > 0u);
  print(digit);
}

static uint32_t parse_number(const char *text) {
  uint32_t value = 0;
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10u + (uint32_t)(*text - '0');
  return value;
}

static void print_id(void) {
  uint8_t id[EP_BOARD_ID_SIZE];
  ep_board_id(id);
  for (uint32_t i = 0; i < sizeof id; i++) {
    const char hex[3] = {"0123456789abcdef"[id[i] >> 4], "0123456789abcdef"[id[i] & 15u], '\0'};
    print(hex);
  }
}

static bool page_is(const uint8_t *page, uint32_t from, uint32_t to, uint8_t value) {
  for (uint32_t i = from; i < to; i++)
    if (page[i] != value) return false;
  return true;
}

/* Returns what went wrong, or "ok". */
static const char *check_flash(void) {
  static uint8_t page[4096], data[256];
  const uint32_t size = ep_board_map()->erase_size;
  const uint32_t max = ep_board_map()->program_max;
  for (uint32_t i = 0; i < max; i++) data[i] = (uint8_t)(i * 7u + 1u);

  if (ep_board_flash_erase(SCRATCH) || ep_board_flash_erase(SCRATCH + size)) return "erase failed";
  if (ep_board_flash_read(SCRATCH, page, size) || !page_is(page, 0, size, 0xFF))
    return "erased page is not blank";
  if (ep_board_flash_program(SCRATCH + max, data, max)) return "program of a full page failed";
  if (ep_board_flash_program(SCRATCH + 8u, data, 8u)) return "program of one unit failed";
  if (ep_board_flash_read(SCRATCH, page, size)) return "read failed";
  if (memcmp(page + max, data, max) != 0 || memcmp(page + 8, data, 8) != 0) return "read back differs";
  if (!page_is(page, 0, 8, 0xFF) || !page_is(page, 16, max, 0xFF) || !page_is(page, 2u * max, size, 0xFF))
    return "programmed beside the range";
  if (ep_board_flash_read(SCRATCH + max + 3u, page, 6u) || memcmp(page, data + 3, 6) != 0)
    return "odd read differs";
  if (ep_board_flash_program(SCRATCH + 4u, data, 8u) != EP_ERR_FLASH) return "took a misaligned program";
  if (ep_board_flash_program(SCRATCH, data, 12u) != EP_ERR_FLASH) return "took half a unit";
  if (ep_board_flash_program(SCRATCH + max - 8u, data, 16u) != EP_ERR_FLASH)
    return "programmed over a page border";
  if (ep_board_flash_erase(SCRATCH + 8u) != EP_ERR_FLASH) return "took a misaligned erase";
  if (ep_board_flash_read(0xFFFFFFF8u, page, 16u) != EP_ERR_FLASH) return "read outside the chip";
  if (ep_board_flash_erase(SCRATCH)) return "second erase failed";
  if (ep_board_flash_read(SCRATCH, page, size) || !page_is(page, 0, size, 0xFF))
    return "second erase left something";
  return "ok";
}

static void wait_us(uint32_t us) {
  const uint64_t begun = ep_board_time_us();
  while (ep_board_time_us() - begun < us) {
  }
}

static void start_ticks(void) {
  static bool started;
  if (!started) ep_board_scan_start();
  started = true;
}

static void run_ticks(uint32_t count) {
  start_ticks();
  const uint32_t first = ticks.count;
  while (ticks.count == first) ep_board_idle();
  ticks.worst_us = 0;
  const uint64_t begun = ticks.last_us;
  const uint32_t from = ticks.count;
  while (ticks.count - from < count) ep_board_idle();
  print_number((uint32_t)(ticks.last_us - begun));
  print(" ");
  print_number(ticks.worst_us);
}

static void check_mask(void) {
  start_ticks();
  const uint32_t outer = ep_board_scan_mask();
  const uint32_t inner = ep_board_scan_mask();
  ep_board_scan_unmask(inner);
  const uint32_t before = ticks.count;
  wait_us(5000);
  print_number(ticks.count - before);
  ep_board_scan_unmask(outer);
  wait_us(5000);
  print(ticks.count > before ? " then some" : " then none");
}

static uint32_t clock_steps_back(void) {
  start_ticks();
  uint32_t back = 0;
  uint64_t last = 0;
  for (int i = 0; i < 20000; i++) {
    const uint64_t now = ep_board_time_us();
    back += now < last;
    last = now;
  }
  return back;
}

static void send_observations(uint32_t count) {
  start_ticks();
  const uint32_t from = ticks.count;
  observe = true;
  while (ticks.count - from < count) ep_board_idle();
  observe = false;
}

static void feed_watchdog(void) {
  ep_board_watchdog_start();
  for (int i = 0; i < 20; i++) {
    wait_us(20000);
    ep_board_watchdog_kick();
  }
  print("fed\n");
  for (;;) {
  }
}

static uint32_t use_up_stack(uint32_t depth) {
  volatile uint32_t frame[64];
  frame[0] = depth;
  return depth == 0u ? 0u : use_up_stack(depth - 1u) + frame[0];
}

static void write_to_code(void) {
  volatile uint32_t *volatile code = (volatile uint32_t *)((uintptr_t)ep_board_reset & ~(uintptr_t)3u);
  *code = 0;
}

static void run_data(void) {
  static uint16_t data[2] = {0x4770, 0x4770}; /* bx lr */
  void (*function)(void);
  const uintptr_t address = (uintptr_t)data | 1u;
  memcpy(&function, &address, sizeof function);
  function();
}

/* What follows `name` at the start of `line`, or NULL. */
static const char *after(const char *line, const char *name) {
  while (*name != '\0')
    if (*line++ != *name++) return NULL;
  return line;
}

static void answer(const char *line) {
  const char *argument;
  if ((argument = after(line, "echo ")) != NULL)
    print(argument);
  else if (after(line, "cause"))
    print_number((uint32_t)ep_board_reset_cause());
  else if (after(line, "id"))
    print_id();
  else if (after(line, "flash"))
    print(check_flash());
  else if ((argument = after(line, "ticks ")) != NULL)
    run_ticks(parse_number(argument));
  else if (after(line, "mask"))
    check_mask();
  else if (after(line, "monotonic"))
    print_number(clock_steps_back());
  else if (after(line, "stack"))
    print_number(ep_board_stack_high_water());
  else if (after(line, "overruns"))
    print_number(ep_board_serial_overruns());
  else if (after(line, "deaf"))
    wait_us(200000);
  else if ((argument = after(line, "observe ")) != NULL)
    send_observations(parse_number(argument));
  else if (after(line, "feed"))
    feed_watchdog();
  else if (after(line, "fault"))
    write_to_code();
  else if (after(line, "jump"))
    run_data();
  else if (after(line, "overflow"))
    print_number(use_up_stack(100000));
  else if (after(line, "reset"))
    ep_board_reset();
  else if (after(line, "quit"))
    ep_semihosting_exit(0);
  else
    print("unknown");
  print("\n");
}

int main(void) {
  static char line[LINE_MAX];
  uint32_t size = 0;
  print("selftest\n");
  for (;;) {
    uint8_t byte;
    if (ep_board_serial_read(&byte, 1) == 0u) {
      ep_board_idle();
      continue;
    }
    if (byte != '\n') {
      line[size] = (char)byte;
      size += size < LINE_MAX - 1u;
      continue;
    }
    line[size] = '\0';
    size = 0;
    answer(line);
  }
}
