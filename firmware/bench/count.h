/* Counting instructions by SysTick, exactly: see main.c. */
#ifndef EP_BENCH_COUNT_H
#define EP_BENCH_COUNT_H

#include <stdint.h>

#include "ast1030.h"
#include "core/board.h"

typedef struct {
  uint64_t micros;
  uint32_t ticks;
} ep_count_t;

void ep_count_start(void);

/* The instructions between two moments; those of looking at the clock are left out. */
uint64_t ep_count_between(ep_count_t from, ep_count_t to);

/* SysTick is read last before and first after what is counted. Inline: a call would count. */
static inline __attribute__((always_inline)) ep_count_t ep_count_begin(void) {
  ep_count_t now;
  now.micros = ep_board_time_us();
  now.ticks = SYST_CVR;
  return now;
}

static inline __attribute__((always_inline)) ep_count_t ep_count_end(void) {
  ep_count_t now;
  now.ticks = SYST_CVR;
  now.micros = ep_board_time_us();
  return now;
}

#endif
