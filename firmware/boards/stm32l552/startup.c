/* Vectors, C start-up, memory protection and fault handlers. The core boots from the table in flash; the
 * table that counts afterwards is made in SRAM, where every function that it names is too: flash that is
 * being erased can't be read for 22 ms. */
#include <stdint.h>

#include "board.h"
#include "core/board.h"
#include "memory_map.h"
#include "stm32l552.h"

int main(void);
void ep_stm32_reset(void);

extern uint32_t ep_bss_start[], ep_bss_end[];
extern uint32_t ep_code_start[], ep_code_end[], ep_code_load[];
extern uint32_t ep_stack_bottom[], ep_stack_top[];

#define STACK_PAINT 0xA5C3A5C3u

/* Armv8-M MPU: base | shareability and access, limit | attribute index and enable. */
#define RBAR_READ_WRITE      (1u << 1)
#define RBAR_READ_ONLY       (3u << 1)
#define RBAR_XN              1u
#define RLAR_ENABLE          1u
#define MAIR_NORMAL_UNCACHED 0x44u

/* Every part of memory: from where, and what may be done there; up to where. Both ends are multiples of 32. */
#define REGION(from, access, end)                                                                            \
  { (uint32_t)(from) + (access), (uint32_t)(end)-32u + RLAR_ENABLE }

#define SLOTS_END   EP_MAP_RUNTIME_BASE
#define RUNTIME_END (EP_MAP_RUNTIME_BASE + EP_MAP_RUNTIME_SIZE)

/* Code can't be written, data can't be run. The slots and the journal are data that can be written:
 * programming them is a write, and only an unlocked controller takes one. A stack that grows too far meets
 * MSPLIM, and the code below it. */
static const struct {
  uint32_t base;
  uint32_t limit;
} regions[] = {
    REGION(EP_MAP_FLASH_BASE, RBAR_READ_WRITE | RBAR_XN, SLOTS_END),
    REGION(EP_MAP_RUNTIME_BASE, RBAR_READ_ONLY, RUNTIME_END),
    REGION(RUNTIME_END, RBAR_READ_WRITE | RBAR_XN, EP_MAP_FLASH_BASE + EP_MAP_FLASH_SIZE),
    REGION(EP_MAP_SRAM_BASE, RBAR_READ_ONLY, ep_code_end),
    REGION(ep_code_end, RBAR_READ_WRITE | RBAR_XN, EP_MAP_SRAM_BASE + EP_MAP_SRAM_SIZE),
};

static void protect_memory(void) {
  MPU_MAIR0 = MAIR_NORMAL_UNCACHED;
#pragma GCC unroll 1
  for (uint32_t i = 0; i < sizeof regions / sizeof *regions; i++) {
    MPU_RNR = i;
    MPU_RBAR = regions[i].base;
    MPU_RLAR = regions[i].limit;
  }
  MPU_CTRL = MPU_CTRL_ENABLE | MPU_CTRL_PRIVDEFENA;
  SCB_SHCSR = SHCSR_FAULTS_ENABLE;
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

#define PLACE_NMI     2u
#define PLACE_SYSTICK 15u
#define PLACE(irq)    (16u + (irq))

/* The fault may be that there is no stack left: begin a new one before anything is pushed. */
__attribute__((naked, noreturn, section(".scan.text.fault"))) static void fault(void) {
  __asm volatile("ldr r0, =ep_stack_top\n\t"
                 "mov sp, r0\n\t"
                 "b ep_stm32_fault\n\t"
                 ".ltorg");
}

/* At the start of SRAM, read-only once memory is protected. The last interrupt that is ever enabled ends it.
 */
__attribute__((section(".ram_vectors"))) static vector_t vectors[PLACE(LPUART1_IRQ) + 1u];

static void make_vectors(void) {
  for (uint32_t place = 0; place < sizeof vectors / sizeof *vectors; place++) vectors[place] = fault;
  vectors[PLACE_NMI] = ep_stm32_nmi;
  vectors[PLACE_SYSTICK] = ep_stm32_scan_interrupt;
  vectors[PLACE(FLASH_IRQ)] = ep_stm32_flash_interrupt;
  vectors[PLACE(LPUART1_IRQ)] = ep_stm32_serial_interrupt;
  SCB_VTOR = (uint32_t)(uintptr_t)vectors;
}

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
  make_vectors();
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
