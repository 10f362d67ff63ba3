/* Vectors, C start-up, memory protection and fault handlers. QEMU loads the ELF image's segments anew at each
 * reset, so .data needs no copying; everything runs from SRAM. */
#include <stddef.h>

#include "ast1030.h"
#include "board.h"
#include "core/board.h"

int main(void);
void ep_qemu_reset(void);
void ep_qemu_serial_interrupt(void);
void ep_qemu_scan_interrupt(void);

extern uint32_t ep_bss_start[], ep_bss_end[];
extern uint32_t ep_stack_guard[], ep_stack_bottom[], ep_stack_top[];

#define STACK_PAINT 0xA5C3A5C3u

/* Armv7-M attributes: normal memory, shareable; AP 011 = read and write, 110 = read only, 000 = none. */
#define RASR_NORMAL     (0x6u << 16)
#define RASR_SIZE(log2) (((log2)-1u) << 1)
#define RASR_ENABLE     1u
#define RASR_XN         (1u << 28)
#define RASR_READ_WRITE (3u << 24)
#define RASR_READ_ONLY  (6u << 24)
#define RASR_NO_ACCESS  0u

static void mpu_region(uint32_t number, uint32_t base, uint32_t attributes) {
  MPU_RNR = number;
  MPU_RBAR = base;
  MPU_RASR = attributes | RASR_ENABLE;
}

/* Later regions win where they overlap. Code can't be written, data can't be run, and a stack that grows
 * too far meets the guard instead of somebody's variables. */
static void protect_memory(void) {
  mpu_region(0, 0, RASR_NORMAL | RASR_SIZE(20u) | RASR_READ_WRITE | RASR_XN);
  mpu_region(1, 0, RASR_NORMAL | RASR_SIZE(16u) | RASR_READ_ONLY); /* 64 and 32 KiB: link.ld's CODE */
  mpu_region(2, 0x10000u, RASR_NORMAL | RASR_SIZE(15u) | RASR_READ_ONLY);
  mpu_region(3, (uint32_t)(uintptr_t)ep_stack_guard, RASR_NORMAL | RASR_SIZE(8u) | RASR_NO_ACCESS | RASR_XN);
  MPU_CTRL = MPU_CTRL_ENABLE | MPU_CTRL_PRIVDEFENA;
  SCB_SHCSR |= SHCSR_FAULTS_ENABLE;
  barrier();
}

static void paint_stack(void) {
  uint32_t *here;
  __asm volatile("mov %0, sp" : "=r"(here));
  for (uint32_t *word = ep_stack_bottom; word < here; word++) *word = STACK_PAINT;
}

uint32_t ep_board_stack_high_water(void) {
  const uint32_t *word = ep_stack_bottom;
  while (word < ep_stack_top && *word == STACK_PAINT) word++;
  return (uint32_t)((uintptr_t)ep_stack_top - (uintptr_t)word);
}

__attribute__((used)) static void start(void) {
  paint_stack();
  for (uint32_t *word = ep_bss_start; word < ep_bss_end; word++) *word = 0;
  protect_memory();
  ep_qemu_reset_init();
  ep_qemu_clock_init();
  ep_qemu_flash_init();
  ep_qemu_settings_init();
  ep_qemu_serial_init();
  ep_qemu_observer_init();
  __asm volatile("cpsie i" ::: "memory");
  (void)main();
  ep_board_reset();
}

/* The FPU goes on before any compiled function may use its registers. */
__attribute__((naked, noreturn)) void ep_qemu_reset(void) {
  __asm volatile("cpsid i\n\t"
                 "ldr r0, =0xE000ED88\n\t" /* CPACR */
                 "ldr r1, [r0]\n\t"
                 "orr r1, r1, #0xF00000\n\t"
                 "str r1, [r0]\n\t"
                 "dsb\n\t"
                 "isb\n\t"
                 "b start\n\t"
                 ".ltorg");
}

/* The fault may be that there is no stack left: begin a new one before anything is pushed. */
__attribute__((naked, noreturn)) static void fault(void) {
  __asm volatile("ldr r0, =ep_stack_top\n\t"
                 "mov sp, r0\n\t"
                 "b ep_qemu_fault\n\t"
                 ".ltorg");
}

typedef void (*vector_t)(void);

/* Place of an interrupt in the table that begins after the stack pointer. */
#define PLACE(irq) (15u + (irq))
#define IRQ_COUNT  32u

/* An interrupt that nobody enabled is a fault like any other. */
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  vector_t handlers[PLACE(IRQ_COUNT)];
} vectors = {
    .stack = ep_stack_top,
    .handlers =
        {
            [0] = ep_qemu_reset,
            [1 ... PLACE(UART5_IRQ) - 1u] = fault,
            [PLACE(UART5_IRQ)] = ep_qemu_serial_interrupt,
            [PLACE(UART5_IRQ) + 1u ... PLACE(TIMER_IRQ(1u)) - 1u] = fault,
            [PLACE(TIMER_IRQ(1u))] = ep_qemu_scan_interrupt,
            [PLACE(TIMER_IRQ(1u)) + 1u ... PLACE(IRQ_COUNT) - 1u] = fault,
        },
};
