/* In place of channels.c, for boards without a machine: inputs from the make-believe process, outputs to it
 * and to the observer. No pin is touched. */
#include "../process/process.h"
#include "board.h"
#include "core/board.h"
#include "memory_map.h"

static ep_process_t process;
static uint64_t due_us;

void ep_stm32_channels_init(void) {
  process = (ep_process_t)EP_PROCESS_START;
}

/* The process goes by scans, not by the clock: what an agent sees in its n-th scan is the same in every run.
 */
void ep_board_inputs_read(float *inputs, uint32_t count) {
  due_us += EP_MAP_TICK_MICROS;
  ep_process_inputs(&process, due_us, inputs, count);
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  ep_process_outputs(&process, outputs, count);
  ep_stm32_observe(outputs, count, scan, swap_number);
}
