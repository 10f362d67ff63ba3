/* Counts, exactly, the instructions and the stack of whatever stands in table.c. Under
 *
 *   qemu-system-arm -M ast1030-evb,fmc-model=w25q80bl -icount shift=3 -nographic -monitor none -serial stdio
 *     -semihosting -kernel bench.elf
 *
 * an instruction takes 8 ns of virtual time and SysTick runs at 200 MHz, so instructions = ticks × 5/8. Prints one
 * line each, `name instructions stack` (bytes), and leaves the emulator: with 1 if a run didn't do what it should. */
#include "bench.h"

#include <stddef.h>
#include <stdint.h>

#include "ast1030.h"
#include "core/board.h"
#include "semihosting.h"

#define SYSTICK_MASK          0xffffffu
#define SYSTICK_WRAP          ((uint64_t)SYSTICK_MASK + 1u)
#define SYSTICK_RUN           5u /* core clock, no interrupt */
#define TICKS_PER_MICROSECOND 200u

#define STACK_PAINT 0xb0a7b0a7u
#define STACK_WORDS 3072u

typedef struct {
  uint64_t ticks;
  uint32_t stack;
} ep_bench_result_t;

static void print(const char *text) {
  for (; *text != '\0'; text++) {
    while ((UART_LSR(UART5) & LSR_TX_EMPTY) == 0u) continue;
    UART_DATA(UART5) = (uint8_t)*text;
  }
}

static void print_number(uint64_t number) {
  char digits[21];
  char *digit = &digits[sizeof digits - 1u];

  *digit = '\0';
  do {
    *--digit = (char)('0' + number % 10u);
    number /= 10u;
  } while (number > 0u);
  print(digit);
}

/* SysTick alone wraps every 10 million instructions; the board's clock tells how often it did. */
static uint64_t ticks_between(uint32_t from, uint32_t to, uint64_t micros) {
  uint64_t fine = (from - to) & SYSTICK_MASK;
  uint64_t coarse = micros * TICKS_PER_MICROSECOND + SYSTICK_WRAP / 2u;

  return coarse < fine ? fine : fine + (coarse - fine) / SYSTICK_WRAP * SYSTICK_WRAP;
}

/* Paints the stack below this frame, calls, and looks how far down the paint is gone. */
static __attribute__((noinline)) ep_bench_result_t measure(void (*run)(void)) {
  volatile uint32_t *top;
  __asm volatile("mov %0, sp" : "=r"(top));
  volatile uint32_t *bottom = top - STACK_WORDS;
  for (volatile uint32_t *word = bottom; word != top; word++) *word = STACK_PAINT;

  uint64_t start = ep_board_time_us();
  uint32_t from = SYST_CVR;
  run();
  uint32_t to = SYST_CVR;
  uint64_t end = ep_board_time_us();

  /* reading the clock used some stack too, but less than anything worth measuring */
  while (bottom != top && *bottom == STACK_PAINT) bottom++;
  return (ep_bench_result_t){ticks_between(from, to, end - start), (uint32_t)(top - bottom) * 4u};
}

static void nothing(void) {
}

int main(void) {
  SYST_RVR = SYSTICK_MASK;
  SYST_CVR = 0;
  SYST_CSR = SYSTICK_RUN;

  uint64_t overhead = measure(nothing).ticks;
  for (const ep_bench_t *bench = ep_bench_table; bench->name != NULL; bench++) {
    if (bench->prepare != NULL) bench->prepare();
    ep_bench_result_t result = measure(bench->run);
    if (bench->good != NULL && !bench->good()) {
      print("failed ");
      print(bench->name);
      print("\n");
      ep_semihosting_exit(1);
    }
    print(bench->name);
    print(" ");
    print_number((result.ticks - overhead) * 5u / 8u);
    print(" ");
    print_number(result.stack);
    print("\n");
  }
  ep_semihosting_exit(0);
}
