/* Counts, exactly, the instructions and the stack of whatever stands in table.c. Under
 *
 *   qemu-system-arm -M ast1030-evb,fmc-model=w25q80bl -icount shift=3 -nographic -monitor none -serial stdio
 *     -semihosting -kernel bench.elf
 *
 * an instruction takes 8 ns of virtual time and SysTick runs at 200 MHz, so instructions = ticks × 5/8. Prints one
 * line each, `name instructions stack` (bytes), or does the job of job.c if there is one, and leaves the emulator: with 1 if
 * something didn't do what it should. */
#include "bench.h"

#include <stddef.h>
#include <stdint.h>

#include "count.h"
#include "print.h"
#include "semihosting.h"

#define STACK_PAINT 0xb0a7b0a7u
#define STACK_WORDS 3072u

/* Paints the stack below this frame, calls, and looks how far down the paint is gone. */
__attribute__((noinline)) ep_bench_result_t ep_bench_measure(void (*run)(void)) {
  volatile uint32_t *top;
  __asm volatile("mov %0, sp" : "=r"(top));
  volatile uint32_t *bottom = top - STACK_WORDS;
  for (volatile uint32_t *word = bottom; word != top; word++) *word = STACK_PAINT;

  ep_count_t from = ep_count_begin();
  run();
  ep_count_t to = ep_count_end();

  /* reading the clock used some stack too, but less than anything worth measuring */
  while (bottom != top && *bottom == STACK_PAINT) bottom++;
  return (ep_bench_result_t){ep_count_between(from, to), (uint32_t)(top - bottom) * 4u};
}

int main(void) {
  ep_count_start();
  if (ep_bench_has_job()) ep_semihosting_exit(ep_bench_job() ? 0u : 1u);
  for (const ep_bench_t *bench = ep_bench_table; bench->name != NULL; bench++) {
    if (bench->prepare != NULL) bench->prepare();
    ep_bench_result_t result = ep_bench_measure(bench->run);
    if (bench->good != NULL && !bench->good()) {
      ep_print("failed ");
      ep_print(bench->name);
      ep_print("\n");
      ep_semihosting_exit(1);
    }
    ep_print(bench->name);
    ep_print_number(result.instructions);
    ep_print_number(result.stack);
    ep_print("\n");
  }
  ep_semihosting_exit(0);
}
