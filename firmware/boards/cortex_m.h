/* What every Cortex-M has in common: system control block and NVIC. Register names and bits are those of the
 * Armv7-M (DDI 0403) and Armv8-M (DDI 0553) manuals. */
#ifndef EP_BOARDS_CORTEX_M_H
#define EP_BOARDS_CORTEX_M_H

#include "cortex_m_access.h"

#define SYST_CSR            REG32(0xE000E010u)
#define SYST_RVR            REG32(0xE000E014u)
#define SYST_CVR            REG32(0xE000E018u)
#define NVIC_ISER(n)        REG32(0xE000E100u + 4u * (n))
#define NVIC_IPR(irq)       REG8(0xE000E400u + (irq))
#define SCB_ICSR            REG32(0xE000ED04u)
#define SCB_VTOR            REG32(0xE000ED08u)
#define SCB_AIRCR           REG32(0xE000ED0Cu)
#define SCB_SHPR(exception) REG8(0xE000ED14u + (exception))
#define SCB_SHCSR           REG32(0xE000ED24u)
#define SCB_CPACR           REG32(0xE000ED88u)
#define MPU_CTRL            REG32(0xE000ED94u)
#define MPU_RNR             REG32(0xE000ED98u)
#define MPU_RBAR            REG32(0xE000ED9Cu)
#define MPU_RASR            REG32(0xE000EDA0u) /* Armv7-M */
#define MPU_RLAR            REG32(0xE000EDA0u) /* Armv8-M */
#define MPU_MAIR0           REG32(0xE000EDC0u)

#define AIRCR_SYSRESETREQ   0x05FA0004u /* with the key without which a write is ignored */
#define SHCSR_FAULTS_ENABLE 0x00070000u
#define CPACR_FPU_FULL      0x00F00000u
#define MPU_CTRL_ENABLE     1u
#define MPU_CTRL_PRIVDEFENA 4u

/* Interrupt priorities; a lower number goes first. Reception may interrupt a scan, since a scan may take
 * longer than the UART's FIFO lasts. Faults stay at 0, above both. */
#define PRIORITY_SERIAL 0x40u
#define PRIORITY_SCAN   0x80u

static inline void interrupt_enable(uint32_t irq, uint8_t priority) {
  NVIC_IPR(irq) = priority;
  NVIC_ISER(irq / 32u) = 1u << (irq % 32u);
}

static inline __attribute__((noreturn)) void system_reset(void) {
  barrier();
  SCB_AIRCR = AIRCR_SYSRESETREQ;
  barrier();
  for (;;) {
  }
}

#endif
