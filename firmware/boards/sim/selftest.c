/* A runtime of one-letter commands in place of the real one: lets test/board.test.ts prove the board by itself, as
 * firmware/boards/qemu/selftest.c does for its board. Each answer begins with the command's letter.
 *
 *   e, p, r   erase, program and read at the start of slot A: then "." or "!" ; r answers the 8 bytes first
 *   o         a read inside of the next scan that falls into an erase: then what it answered
 *   s         scans run so far, u32
 *   m         masks the scan for 100 units of work: then scans that came at the unmask, u8
 *   w         one signature check's worth of work
 *   c         reset cause, u8
 *   t         microseconds since boot, u64
 *   R, H, T   requests a reset, hangs, traps
 */
#include "core/board.h"

#include <string.h>

static struct {
  volatile uint32_t scans;
  volatile bool alive;
  volatile bool read_in_scan;
  volatile int read_result;
} self;

static uint8_t mark(int error) {
  return error == 0 ? '.' : '!';
}

static uint32_t slot_a(void) {
  return ep_board_map()->slot_address[0];
}

static void work(uint32_t units) {
  for (uint32_t i = 0; i < units; i++) ep_board_work(EP_WORK_ED25519_STEP);
}

static uint32_t put_number(uint8_t *at, uint64_t number, uint32_t size) {
  memcpy(at, &number, size);
  return size;
}

static uint8_t scans_at_unmask(void) {
  const uint32_t outer = ep_board_scan_mask();
  ep_board_scan_unmask(ep_board_scan_mask());
  work(100);
  const uint32_t before = self.scans;
  ep_board_scan_unmask(outer);
  return (uint8_t)(self.scans - before);
}

static uint32_t answer(uint8_t command, uint8_t *out) {
  uint8_t data[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
  switch (command) {
  case 'e': out[0] = mark(ep_board_flash_erase(slot_a())); return 1;
  case 'p': out[0] = mark(ep_board_flash_program(slot_a(), data, sizeof data)); return 1;
  case 'r': out[8] = mark(ep_board_flash_read(slot_a(), out, 8)); return 9;
  case 'o':
    self.read_in_scan = true;
    ep_board_flash_erase(slot_a());
    out[0] = mark(self.read_result);
    return 1;
  case 's': return put_number(out, self.scans, 4);
  case 'm': out[0] = scans_at_unmask(); return 1;
  case 'w': work(256); return 0;
  case 'c': out[0] = (uint8_t)ep_board_reset_cause(); return 1;
  case 't': return put_number(out, ep_board_time_us(), 8);
  case 'R': ep_board_reset();
  case 'H':
    for (;;) ep_board_idle();
  case 'T': __builtin_trap();
  default: return 0;
  }
}

void ep_runtime_start(void) {
  ep_board_watchdog_start();
  ep_board_scan_start();
}

void ep_runtime_poll(void) {
  uint8_t reply[16];
  ep_board_work(EP_WORK_LOOP);
  if (ep_board_serial_read(reply, 1) == 0u) {
    ep_board_idle();
    return;
  }
  ep_board_serial_write(reply, 1u + answer(reply[0], reply + 1));
}

void ep_runtime_alive(void) {
  self.alive = true;
}

void ep_runtime_scan(void) {
  float channels[4];
  uint8_t data[8];
  self.scans++;
  ep_board_inputs_read(channels, 4);
  ep_board_outputs_write(channels, 4, self.scans, 7);
  if (self.read_in_scan) {
    self.read_in_scan = false;
    self.read_result = ep_board_flash_read(slot_a(), data, sizeof data);
  }
  if (self.alive) ep_board_watchdog_kick();
  self.alive = false;
}
