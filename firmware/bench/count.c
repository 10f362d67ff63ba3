#include "count.h"

#define SYSTICK_MASK          0xffffffu
#define SYSTICK_WRAP          ((uint64_t)SYSTICK_MASK + 1u)
#define SYSTICK_RUN           5u /* core clock, no interrupt */
#define TICKS_PER_MICROSECOND 200u

static uint64_t overhead;

/* SysTick alone wraps every 10 million instructions; the board's clock tells how often it did. */
static uint64_t ticks_between(ep_count_t from, ep_count_t to) {
  uint64_t fine = (from.ticks - to.ticks) & SYSTICK_MASK;
  uint64_t coarse = (to.micros - from.micros) * TICKS_PER_MICROSECOND + SYSTICK_WRAP / 2u;

  return coarse < fine ? fine : fine + (coarse - fine) / SYSTICK_WRAP * SYSTICK_WRAP;
}

void ep_count_start(void) {
  SYST_RVR = SYSTICK_MASK;
  SYST_CVR = 0;
  SYST_CSR = SYSTICK_RUN;
  ep_count_t from = ep_count_begin();
  ep_count_t to = ep_count_end();
  overhead = ticks_between(from, to);
}

/* An instruction takes 8 ns, a tick 5 ns. */
uint64_t ep_count_between(ep_count_t from, ep_count_t to) {
  return ((ticks_between(from, to) - overhead) * 5u + 4u) / 8u;
}
