/* The process image's channels: inputs from the make-believe process, outputs to it and to the observer. */
#include "../process/process.h"
#include "board.h"
#include "core/board.h"

static ep_process_t process = EP_PROCESS_START;

void ep_board_inputs_read(float *inputs, uint32_t count) {
  ep_process_inputs(&process, ep_qemu_scan_due_us(), inputs, count);
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  ep_process_outputs(&process, outputs, count);
  ep_qemu_observe(outputs, count, scan, swap_number);
}
