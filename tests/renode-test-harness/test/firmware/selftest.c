/* Firmware for the harness's own tests on an STM32L552: a line comes by LPUART1, and is done. No library, no start-up code but this.
 * Numbers are those of RM0438. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define LPUART_CR1 REG(0x40008000u)
#define LPUART_BRR REG(0x4000800Cu)
#define LPUART_ISR REG(0x4000801Cu)
#define LPUART_RDR REG(0x40008024u)
#define LPUART_TDR REG(0x40008028u)
#define FLASH_KEY  REG(0x40022008u)
#define FLASH_SR   REG(0x40022020u)
#define FLASH_CR   REG(0x40022028u)
#define RCC_CSR    REG(0x40021094u)
#define IWDG_KR    REG(0x40003000u)
#define IWDG_PR    REG(0x40003004u)
#define IWDG_RLR   REG(0x40003008u)
#define IWDG_SR    REG(0x4000300Cu)
#define TIM3_CR1   REG(0x40000400u)
#define TIM3_CCMR1 REG(0x40000418u)
#define TIM3_CCER  REG(0x40000420u)
#define TIM3_ARR   REG(0x4000042Cu)
#define TIM3_CCR1  REG(0x40000434u)
#define ADC_ISR    REG(0x42028000u)
#define ADC_CR     REG(0x42028008u)
#define ADC_SQR1   REG(0x42028030u)
#define ADC_DR     REG(0x42028040u)
#define ITM_STIM0  REG(0xE0000000u)
#define NVIC_ISER2 REG(0xE000E108u)
#define AIRCR      REG(0xE000ED0Cu)
#define SYST_CSR   REG(0xE000E010u)
#define SYST_RVR   REG(0xE000E014u)
#define SYST_CVR   REG(0xE000E018u)

#define PAGE      0x08000000u
#define ERRORS    0x20FAu
#define BUSY      (1u << 16)
#define LINE_SIZE 80

extern uint32_t ram_code_start[], ram_code_end[], ram_code_image[], bss_start[], bss_end[], stack_top[];

static volatile uint32_t milliseconds;
static volatile char line[LINE_SIZE];
static volatile uint32_t length, complete;
static uint32_t served;

/* Where the harness writes and reads memory. */
volatile uint32_t scratch[4];

static void put(char c) {
  while (!(LPUART_ISR & (1u << 7))) {
  }
  LPUART_TDR = (uint8_t)c;
}

static void say(const char *text) {
  while (*text) put(*text++);
}

static void say_number(uint32_t number, uint32_t base) {
  char digits[12];
  int count = 0;
  do {
    digits[count++] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number);
  while (count) put(digits[--count]);
}

/* The bank can't be read while it is busy, not even the code: this lies in RAM. */
__attribute__((section(".ram_code"), noinline)) static uint32_t operate(uint32_t control, uint32_t start,
                                                                        uint32_t low, uint32_t high) {
  __asm volatile("cpsid i");
  FLASH_SR = ERRORS;
  FLASH_CR = control;
  if (start) {
    FLASH_CR = control | start;
  } else {
    REG(PAGE) = low;
    REG(PAGE + 4) = high;
  }
  while (FLASH_SR & BUSY) {
  }
  uint32_t errors = FLASH_SR & ERRORS;
  FLASH_CR = 0;
  __asm volatile("cpsie i");
  return errors;
}

static void tell(uint32_t errors) {
  if (errors == 0) {
    say("done\n");
    return;
  }
  say("error ");
  say_number(errors, 16);
  say("\n");
}

static void unlock(void) {
  if (!(FLASH_CR & (1u << 31))) return;
  FLASH_KEY = 0x45670123u;
  FLASH_KEY = 0xCDEF89ABu;
}

static uint32_t convert(void) {
  ADC_CR = 1u << 28;
  ADC_CR = 1u << 28 | 1u << 31;
  while (ADC_CR & (1u << 31)) {
  }
  ADC_CR = 1u << 28 | 1u;
  ADC_SQR1 = 5u << 6; /* input 5 alone */
  ADC_CR = 1u << 28 | 1u | 1u << 2;
  while (!(ADC_ISR & (1u << 2))) {
  }
  return ADC_DR;
}

static void set_duty(uint32_t percent) {
  TIM3_ARR = 999;
  TIM3_CCMR1 = 6u << 4;
  TIM3_CCER = 1;
  TIM3_CCR1 = percent * 10u;
  TIM3_CR1 = 1;
}

static void start_watchdog(void) {
  IWDG_KR = 0xCCCC;
  IWDG_KR = 0x5555;
  IWDG_PR = 0;
  IWDG_RLR = 400; /* 50 ms */
  while (IWDG_SR) {
  }
  IWDG_KR = 0xAAAA;
}

static uint32_t parse(const volatile char *text) {
  uint32_t number = 0;
  while (*text >= '0' && *text <= '9') number = 10u * number + (uint32_t)(*text++ - '0');
  return number;
}

static void serve(void) {
  switch (line[0]) {
  case 'e': /* echo what follows the blank */
    for (uint32_t i = 2; line[i]; i++) put(line[i]);
    put('\n');
    return;
  case 'c':
    say("served ");
    say_number(served, 10);
    say("\n");
    return;
  case 'x':
    unlock();
    tell(operate(1u << 1, 1u << 16, 0, 0));
    return;
  case 'p':
    unlock();
    tell(operate(1u, 0, 0x33221100u, 0x77665544u));
    return;
  case 'r':
    say_number(REG(PAGE), 16);
    say("\n");
    return;
  case 'w':
    say("watchdog\n");
    start_watchdog();
    for (;;) {
    }
  case 'R':
    say("restart\n");
    AIRCR = 0x05FA0004u;
    for (;;) {
    }
  case 'o':
    for (uint32_t i = parse(&line[2]); i; i--) ITM_STIM0 = i;
    say("observed\n");
    return;
  case 'd':
    set_duty(parse(&line[2]));
    say("set\n");
    return;
  case 'v':
    say_number(convert(), 10);
    say("\n");
    return;
  case 's':
    say_number(scratch[0], 16);
    say("\n");
    return;
  default: say("what?\n");
  }
}

static void tick(void) {
  milliseconds++;
}

static void received(void) {
  while (LPUART_ISR & (1u << 5)) {
    char c = (char)LPUART_RDR;
    if (complete) continue;
    if (c == '\n') {
      line[length] = 0;
      complete = 1;
    } else if (length < LINE_SIZE - 1) {
      line[length++] = c;
    }
  }
}

static void start_up(void) {
  for (uint32_t *from = ram_code_image, *to = ram_code_start; to < ram_code_end;) *to++ = *from++;
  for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
  LPUART_BRR = 256u * 4000000u / 115200u;
  LPUART_CR1 = 1u | 1u << 2 | 1u << 3 | 1u << 5;
  NVIC_ISER2 = 1u << (66 - 64);
  SYST_RVR = 110000u - 1u;
  SYST_CVR = 0;
  SYST_CSR = 7;
  uint32_t cause = RCC_CSR;
  RCC_CSR = 1u << 23;
  say(cause & 1u << 29   ? "ready watchdog\n"
      : cause & 1u << 28 ? "ready software\n"
      : cause & 1u << 27 ? "ready power\n"
                         : "ready pin\n");
  for (;;) {
    __asm volatile("cpsid i");
    if (!complete) __asm volatile("wfi");
    __asm volatile("cpsie i");
    if (!complete) continue;
    served++;
    serve();
    length = 0;
    complete = 0;
  }
}

static void fault(void) {
  say("fault\n");
  for (;;) {
  }
}

typedef void (*handler_t)(void);
__attribute__((section(".vectors"), used)) static const handler_t vectors[16 + 67] = {
    (handler_t)stack_top,
    start_up,
    fault,
    fault,
    fault,
    fault,
    fault,
    0,
    0,
    0,
    0,
    fault,
    fault,
    0,
    fault,
    tick,
    [16 + 66] = received,
};
