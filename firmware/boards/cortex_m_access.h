/* How a board reaches a register, and the few instructions that C has no words for. Apart from cortex_m.h, so
 * that firmware/tests can put a model of the chip in its place and run a board's drivers on any machine. */
#ifndef EP_BOARDS_CORTEX_M_ACCESS_H
#define EP_BOARDS_CORTEX_M_ACCESS_H

#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define REG8(address)  (*(volatile uint8_t *)(uintptr_t)(address))

static inline void barrier(void) {
  __asm volatile("dsb\n\tisb" ::: "memory");
}

static inline uint32_t interrupts_off(void) {
  uint32_t state;
  __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(state)::"memory");
  return state;
}

static inline void interrupts_restore(uint32_t state) {
  __asm volatile("msr primask, %0" ::"r"(state) : "memory");
}

/* Holds back interrupts of priority `level` and less urgent ones; returns what was in force. */
static inline uint32_t priority_raise(uint32_t level) {
  uint32_t state;
  __asm volatile("mrs %0, basepri" : "=r"(state)::"memory");
  __asm volatile("msr basepri_max, %0" ::"r"(level) : "memory");
  return state;
}

static inline void priority_restore(uint32_t state) {
  __asm volatile("msr basepri, %0" ::"r"(state) : "memory");
}

static inline void wait_for_interrupt(void) {
  __asm volatile("dsb\n\twfi" ::: "memory");
}

#endif
