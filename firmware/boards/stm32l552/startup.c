/* Vectors, C start-up, memory protection and fault handlers. The core boots from the table in flash; the table that
 * counts afterwards is a copy in SRAM, as is every function that it names: flash that is being erased can't be
 * read for 22 ms. */
#include <stdint.h>

#include "board.h"
#include "core/board.h"
#include "stm32l552.h"

int main(void);
void ep_stm32_reset(void);
void ep_stm32_nmi(void);
void ep_stm32_serial_interrupt(void);
void ep_stm32_scan_interrupt(void);

extern uint32_t ep_bss_start[], ep_bss_end[];
extern uint32_t ep_code_start[], ep_code_end[], ep_code_load[];
extern uint32_t ep_data_start[], ep_data_end[], ep_data_load[];
extern uint32_t ep_stack_bottom[], ep_stack_top[];
extern uint32_t ep_map_flash_base[], ep_map_flash_size[], ep_map_sram_base[], ep_map_sram_size[];

#define STACK_PAINT 0xA5C3A5C3u

/* Armv8-M MPU: base | shareability and access, limit | attribute index and enable. */
#define RBAR_READ_WRITE      (1u << 1)
#define RBAR_READ_ONLY       (3u << 1)
#define RBAR_XN              1u
#define RLAR_ENABLE          1u
#define MAIR_NORMAL_UNCACHED 0x44u

static void mpu_region(uint32_t number, uintptr_t from, uintptr_t end, uint32_t access) {
  MPU_RNR = number;
  MPU_RBAR = ((uint32_t)from & ~31u) | access;
  MPU_RLAR = ((uint32_t)(end - 1u) & ~31u) | RLAR_ENABLE;
}

/* Code can't be written, data can't be run. Flash stays writable: programming it is a write, and only an
 * unlocked controller takes one. A stack that grows too far meets MSPLIM. */
static void protect_memory(void) {
  const uintptr_t flash = (uintptr_t)ep_map_flash_base;
  const uintptr_t sram_end = (uintptr_t)ep_map_sram_base + (uintptr_t)ep_map_sram_size;
  MPU_MAIR0 = MAIR_NORMAL_UNCACHED;
  mpu_region(0, flash, flash + (uintptr_t)ep_map_flash_size, RBAR_READ_WRITE);
  mpu_region(1, (uintptr_t)ep_code_start, (uintptr_t)ep_code_end, RBAR_READ_ONLY);
  mpu_region(2, (uintptr_t)ep_code_end, sram_end, RBAR_READ_WRITE | RBAR_XN);
  MPU_CTRL = MPU_CTRL_ENABLE | MPU_CTRL_PRIVDEFENA;
  SCB_SHCSR |= SHCSR_FAULTS_ENABLE;
  barrier();
}

/* Not memcpy(): that is among what gets copied here. */
static void copy_words(uint32_t *to, const uint32_t *end, const uint32_t *from) {
  while (to < end) {
    *to++ = *from++;
    __asm volatile("" ::: "memory"); /* keeps the compiler from making this a call of memcpy */
  }
}

static void fill_words(uint32_t *to, const uint32_t *end, uint32_t value) {
  while (to < end) {
    *to++ = value;
    __asm volatile("" ::: "memory");
  }
}

uint32_t ep_board_stack_high_water(void) {
  const uint32_t *word = ep_stack_bottom;
  while (word < ep_stack_top && *word == STACK_PAINT) word++;
  return (uint32_t)((uintptr_t)ep_stack_top - (uintptr_t)word);
}

typedef void (*vector_t)(void);

#define PLACE(irq) (15u + (irq))

/* The fault may be that there is no stack left: begin a new one before anything is pushed. */
__attribute__((naked, noreturn, section(".scan.text.fault"))) static void fault(void) {
  __asm volatile("ldr r0, =ep_stack_top\n\t"
                 "mov sp, r0\n\t"
                 "b ep_stm32_fault\n\t"
                 ".ltorg");
}

/* The NMI is the flash's word for a double word that can't be read, if the driver reads just now. */
__attribute__((section(".scan.text.nmi"))) void ep_stm32_nmi(void) {
  if (!ep_stm32_flash_ecc_failed()) ep_stm32_fault();
}

typedef struct {
  uint32_t *stack;
  vector_t handlers[PLACE(IRQ_COUNT)];
} vectors_t;

/* In SRAM, whither start-up copies it with the rest of .scan. An interrupt that nobody enabled is a fault. */
__attribute__((section(".scan.vectors"), used)) static const vectors_t vectors = {
    .stack = ep_stack_top,
    .handlers =
        {
            [0] = ep_stm32_reset,
            [1] = ep_stm32_nmi,
            [2 ... 13] = fault,
            [14] = ep_stm32_scan_interrupt, /* SysTick */
            [15 ... PLACE(USART1_IRQ) - 1u] = fault,
            [PLACE(USART1_IRQ)] = ep_stm32_serial_interrupt,
            [PLACE(USART1_IRQ) + 1u ... PLACE(IRQ_COUNT) - 1u] = fault,
        },
};

/* What the core reads when it boots: no more than it needs until start-up has switched over. */
__attribute__((section(".boot_vectors"), used)) static const struct {
  uint32_t *stack;
  vector_t reset;
} boot_vectors = {ep_stack_top, ep_stm32_reset};

__attribute__((used, noreturn)) static void start(void) {
  uint32_t *here;
  __asm volatile("mov %0, sp" : "=r"(here));
  fill_words(ep_stack_bottom, here, STACK_PAINT);
  fill_words(ep_bss_start, ep_bss_end, 0);
  copy_words(ep_code_start, ep_code_end, ep_code_load);
  copy_words(ep_data_start, ep_data_end, ep_data_load);
  SCB_VTOR = (uint32_t)(uintptr_t)&vectors;
  protect_memory();
  ep_stm32_clock_init();
  ep_stm32_reset_init();
  ep_stm32_flash_init();
  ep_stm32_serial_init();
  ep_stm32_channels_init();
  __asm volatile("cpsie i" ::: "memory");
  (void)main();
  ep_board_reset();
}

/* The FPU goes on before any compiled function may use its registers. */
__attribute__((naked, noreturn)) void ep_stm32_reset(void) {
  __asm volatile("cpsid i\n\t"
                 "ldr r0, =ep_stack_top\n\t"
                 "mov sp, r0\n\t"
                 "ldr r0, =ep_stack_bottom\n\t"
                 "msr msplim, r0\n\t"
                 "ldr r0, =0xE000ED88\n\t" /* CPACR */
                 "ldr r1, [r0]\n\t"
                 "orr r1, r1, #0xF00000\n\t"
                 "str r1, [r0]\n\t"
                 "dsb\n\t"
                 "isb\n\t"
                 "b start\n\t"
                 ".ltorg");
}
