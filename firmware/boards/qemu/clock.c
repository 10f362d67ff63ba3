/* Time and the scan tick: timer 0 runs freely, timer 1 gives the tick. */
#include "ast1030.h"
#include "board.h"
#include "core/board.h"
#include "memory_map.h"

#define FREE 0u
#define TICK 1u

static struct {
  uint32_t last;
  uint32_t wraps;
} extended;

static struct {
  uint64_t due_us; /* of the tick that is running or ran last */
  uint32_t count;  /* ticks since the start, missed ones left out */
} tick;

void ep_qemu_scan_interrupt(void);

void ep_qemu_clock_init(void) {
  TIMER_CONTROL_CLEAR = TIMER_CONTROL(FREE, 15u) | TIMER_CONTROL(TICK, 15u);
  TIMER_RELOAD(FREE) = UINT32_MAX;
  TIMER_COUNT(FREE) = UINT32_MAX;
  TIMER_CONTROL_REG |= TIMER_CONTROL(FREE, CONTROL_1MHZ);
  TIMER_CONTROL_REG |= TIMER_CONTROL(FREE, CONTROL_ENABLE | CONTROL_1MHZ);
}

/* The counter wraps every 71 minutes and is read at least once a tick, so no wrap goes unseen. Whoever is
 * interrupted between reading and comparing would see time go backwards: hence the short lock. */
uint64_t ep_board_time_us(void) {
  const uint32_t state = interrupts_off();
  const uint32_t now = ~TIMER_COUNT(FREE);
  if (now < extended.last) extended.wraps += 1u;
  extended.last = now;
  const uint64_t time = ((uint64_t)extended.wraps << 32) | now;
  interrupts_restore(state);
  return time;
}

void ep_board_scan_start(void) {
  /* on whole ticks of the clock, so that what follows from the time is the same in every run */
  const uint64_t now = ep_board_time_us();
  const uint32_t into_tick = (uint32_t)(now % EP_MAP_TICK_MICROS);
  tick.due_us = now - into_tick;
  tick.count = 0;
  TIMER_RELOAD(TICK) = EP_MAP_TICK_MICROS;
  TIMER_CONTROL_REG |= TIMER_CONTROL(TICK, CONTROL_1MHZ);
  TIMER_CONTROL_REG |= TIMER_CONTROL(TICK, CONTROL_ENABLE | CONTROL_1MHZ | CONTROL_INTERRUPT);
  TIMER_COUNT(TICK) = EP_MAP_TICK_MICROS - into_tick; /* a timer that stands takes no count */
  interrupt_enable(TIMER_IRQ(TICK), PRIORITY_SCAN);
}

/* The timer restarts when its interrupt is served, not when it was due, and so would fall behind the clock.
 * Each tick therefore aims at the next exact multiple. A tick that is over before it could start is
 * missed, and stays missed: the runtime counts scans against the clock. */
static void aim_at_next_tick(void) {
  const uint64_t now = ep_board_time_us();
  tick.due_us += EP_MAP_TICK_MICROS;
  while (now >= tick.due_us + EP_MAP_TICK_MICROS) tick.due_us += EP_MAP_TICK_MICROS;
  const uint32_t late = now > tick.due_us ? (uint32_t)(now - tick.due_us) : 0u;
  TIMER_COUNT(TICK) = EP_MAP_TICK_MICROS - late;
}

void ep_qemu_scan_interrupt(void) {
  ep_qemu_interrupts += 1u;
  TIMER_STATUS = 1u << TICK;
  aim_at_next_tick();
  tick.count += 1u;
  if (tick.count != ep_qemu_masked_tick()) ep_runtime_scan();
}

uint64_t ep_qemu_scan_due_us(void) {
  return tick.due_us;
}

uint32_t ep_board_scan_mask(void) {
  return priority_raise(PRIORITY_SCAN);
}

void ep_board_scan_unmask(uint32_t state) {
  priority_restore(state);
}
