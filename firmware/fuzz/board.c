#include "board.h"

#include <string.h>

#include <pb_decode.h>
#include <pb_encode.h>

#include "fuzz.h"

#define SCAN_US 1000u
#define WORK_US 20u
/* A page takes an STM32L5 22 ms; three scans say as much as twenty. */
#define ERASE_US  3000u
#define LINE_ROOM 8192u

static fuzz_board_t board; /* but for the runtime, which is where it always is: ep_runtime */
static const fuzz_board_t *restored;

static uint8_t line[LINE_ROOM];
static uint32_t line_at, line_size;
static ep_frame_receiver_t host;
static edgeplug_Frame heard;
static fuzz_reply_t reply;

/* ---- board.h of the runtime ------------------------------------------------------------------- */

/* Time passes; scans that fall due interrupt whatever runs. A scan never interrupts a scan. */
static void advance(uint64_t us) {
  board.time_us += us;
  while (board.scanning && board.masked == 0u && board.time_us >= board.next_scan_us) {
    board.next_scan_us += SCAN_US;
    board.masked++;
    ep_runtime_scan();
    board.masked--;
  }
}

uint64_t ep_board_time_us(void) {
  return board.time_us;
}

void ep_board_scan_start(void) {
  board.scanning = true;
  board.next_scan_us = board.time_us + SCAN_US;
}

uint32_t ep_board_scan_mask(void) {
  return board.masked++;
}

void ep_board_scan_unmask(uint32_t state) {
  board.masked = state;
}

void ep_board_watchdog_start(void) {
}

void ep_board_watchdog_kick(void) {
}

void ep_board_work(ep_work_t unit) {
  FUZZ_CHECK(unit < EP_WORK_COUNT);
  ep_runtime_alive();
  advance(WORK_US);
}

void ep_board_idle(void) {
  if (board.next_scan_us > board.time_us) advance(board.next_scan_us - board.time_us);
}

void ep_board_inputs_read(float *inputs, uint32_t count) {
  for (uint32_t channel = 0; channel < count; channel++) inputs[channel] = (float)channel * 1.5f;
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  (void)scan;
  (void)swap_number;
  /* The guards let no NaN through to a machine. */
  for (uint32_t channel = 0; channel < count; channel++) FUZZ_CHECK(outputs[channel] == outputs[channel]);
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return board.cause;
}

void ep_board_id(uint8_t id[EP_BOARD_ID_SIZE]) {
  memset(id, 0x5A, EP_BOARD_ID_SIZE);
}

uint32_t ep_board_stack_high_water(void) {
  return 0;
}

uint32_t ep_board_serial_overruns(void) {
  return 0;
}

uint32_t ep_board_serial_read(uint8_t *buffer, uint32_t size) {
  uint32_t left = line_size - line_at;
  if (size > left) size = left;
  memcpy(buffer, line + line_at, size);
  line_at += size;
  return size;
}

/* Whatever the board says must be a frame that holds and a message that can be read. */
uint32_t ep_board_serial_write(const uint8_t *data, uint32_t size) {
  for (uint32_t i = 0; i < size; i++) {
    uint32_t length = 0;
    const uint8_t *message = ep_frame_receive(&host, data[i], &length);
    pb_istream_t stream;
    if (message == NULL) continue;
    stream = pb_istream_from_buffer(message, length);
    FUZZ_CHECK(pb_decode(&stream, edgeplug_Frame_fields, &heard));
    if (heard.which_body != edgeplug_Frame_response_tag) continue;
    reply.responses++;
    reply.response = heard.body.response;
  }
  FUZZ_CHECK(host.dropped == 0u);
  return size;
}

/* ---- laws that hold at each flash operation ---------------------------------------------------- */

/* Law 1: of the slot that runs, or would be fallen back to, nothing is touched but its marks. */
static void watch(void *context, const flash_operation_t *operation) {
  const ep_board_map_t *map = ep_board_map();
  uint32_t active = ep_runtime.hotswap.active;
  (void)context;
  if (board.scanning && active != EP_HOTSWAP_NONE) {
    uint32_t offset = operation->address - map->slot_address[active];
    FUZZ_CHECK(offset >= EP_RECORD_SLOT_SIZE ||
               (!operation->erase && offset >= EP_RECORD_PAYLOAD_MAX + EP_RECORD_MARK_STAGED_OFFSET));
  }
  restored = NULL;
  advance(operation->erase ? ERASE_US : WORK_US);
}

/* ---- states ------------------------------------------------------------------------------------ */

static void quiet(void) {
  line_at = line_size = 0;
  memset(&host, 0, sizeof host);
  memset(&reply, 0, sizeof reply);
}

void fuzz_board_new(flash_geometry_t geometry) {
  memset(&board, 0, sizeof board);
  memset(&ep_runtime, 0, sizeof ep_runtime);
  ep_runtime.hotswap.active = EP_HOTSWAP_NONE;
  flash_init(&board.flash, geometry, 1);
  flash_use(&board.flash);
  flash_watch(watch, NULL);
  restored = NULL;
  quiet();
}

void fuzz_board_save(fuzz_board_t *state) {
  board.runtime = ep_runtime;
  *state = board;
}

void fuzz_board_restore(const fuzz_board_t *state) {
  /* Most inputs never get as far as flash, which is half of the bytes. */
  if (restored != state) board.flash = state->flash;
  board.flash.seed = state->flash.seed;
  board.flash.fail_read = 0;
  board.time_us = state->time_us;
  board.next_scan_us = state->next_scan_us;
  board.scanning = state->scanning;
  board.masked = state->masked;
  board.cause = state->cause;
  ep_runtime = state->runtime;
  restored = state;
  quiet();
}

flash_t *fuzz_board_flash(void) {
  restored = NULL;
  return &board.flash;
}

uint32_t fuzz_board_violations(void) {
  return board.flash.violations;
}

uint32_t fuzz_board_operations(void) {
  return board.flash.operations;
}

void fuzz_board_boot(ep_reset_cause_t cause) {
  board.cause = cause;
  board.time_us = 0;
  board.scanning = false;
  board.masked = 0;
  restored = NULL;
  quiet();
  ep_runtime_start();
}

void fuzz_board_run(uint32_t scans) {
  uint64_t until = board.time_us + (uint64_t)scans * SCAN_US;
  while (board.time_us < until) ep_runtime_poll();
}

bool fuzz_board_settle(uint32_t most) {
  for (uint32_t turn = 0; turn < most; turn++) {
    uint32_t phase = ep_runtime.hotswap.phase;
    if (phase == edgeplug_UpdatePhase_UPDATE_PHASE_IDLE || phase == edgeplug_UpdatePhase_UPDATE_PHASE_STAGED)
      return true;
    ep_runtime_poll();
  }
  return false;
}

void fuzz_board_pass(uint64_t us) {
  board.time_us += us;
  board.next_scan_us += us / SCAN_US * SCAN_US;
}

/* ---- the line ---------------------------------------------------------------------------------- */

void fuzz_board_line(const uint8_t *bytes, uint32_t size) {
  while (size > 0u) {
    uint32_t part = size < LINE_ROOM ? size : LINE_ROOM;
    memcpy(line, bytes, part);
    line_at = 0;
    line_size = part;
    bytes += part;
    size -= part;
    while (line_at < line_size) ep_runtime_poll();
  }
  ep_runtime_poll(); /* sends the last answer off */
}

void fuzz_board_message(const uint8_t *message, uint32_t size) {
  uint8_t framed[EP_FRAME_MAX], wire[EP_FRAME_WIRE_MAX];
  reply.responses = 0;
  memcpy(framed, message, size);
  fuzz_board_line(wire, ep_frame_build(framed, size, wire));
}

const fuzz_reply_t *fuzz_board_reply(void) {
  return &reply;
}

/* Never silence: every request that can be read gets its answer, and only that. */
const fuzz_reply_t *fuzz_board_request(edgeplug_Request *request) {
  static edgeplug_Frame frame;
  static uint32_t id;
  uint8_t message[edgeplug_Frame_size];
  pb_ostream_t stream = pb_ostream_from_buffer(message, sizeof message);
  request->id = ++id;
  frame.which_body = edgeplug_Frame_request_tag;
  frame.body.request = *request;
  FUZZ_CHECK(pb_encode(&stream, edgeplug_Frame_fields, &frame));
  fuzz_board_message(message, (uint32_t)stream.bytes_written);
  FUZZ_CHECK(reply.responses == 1u && reply.response.id == id);
  FUZZ_CHECK(reply.response.error == 0u || (reply.response.error > 1000u && reply.response.error < 10000u));
  return &reply;
}

const fuzz_reply_t *fuzz_board_ask(pb_size_t tag) {
  static edgeplug_Request request;
  request.which_body = tag;
  return fuzz_board_request(&request);
}
