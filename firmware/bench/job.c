/* Runs WebAssembly modules in the shipped engine, with the real host functions, and counts instructions of single
 * calls. What to run comes from the file job.bin in QEMU's working directory, made by scripts/bench: a sequence of
 * commands, each a few little-endian words, then bytes filled up to a multiple of four:
 *
 *   module memory stack_slots call_depth inputs outputs plain size bytes
 *                                       a fresh instance, plain: without fused instructions; "module result instructions arena"
 *   call name_size name count (low high)*                            "call result instructions fuel value"
 *   scans name_size name count fuel                                  that export once per tick in the emulated process,
 *                                                                    "scan ..." for each
 *   poke address size bytes                                          into linear memory
 *   native function argument argument                                C twin of a workload: "native 0 instructions 0 value"
 *   native_poke buffer size bytes
 *   hostile memory stack_slots call_depth size bytes
 *                                       a module that may be refused, and its export "f" without arguments, which may trap:
 *                                       "hostile result stack result stack detail", bytes of C stack for each
 *   end
 */
#include <string.h>

#include "../boards/process/process.h"
#include "bench.h"
#include "core/agents.h"
#include "core/host_functions.h"
#include "count.h"
#include "native.h"
#include "print.h"
#include "semihost_file.h"
#include "wasm/limits.h"

#define JOB_SIZE 0x50000u
#define FUEL     0x7fffffff

/* A hostile module may be one that never ends. */
#define HOSTILE_FUEL 1000000

enum { END, MODULE, CALL, SCANS, POKE, NATIVE, NATIVE_POKE, HOSTILE };

static struct {
  uint8_t bytes[JOB_SIZE] __attribute__((aligned(8)));
  uint32_t at;
  uint32_t size;
} job;

static ep_bank_t bank;
static ep_channels_t channels;
static ep_event_queue_t events;

static uint32_t next_word(void) {
  uint32_t word = END;
  if (job.at + sizeof word <= job.size) memcpy(&word, &job.bytes[job.at], sizeof word);
  job.at += (uint32_t)sizeof word;
  return word;
}

static const uint8_t *next_bytes(uint32_t size) {
  const uint8_t *bytes = &job.bytes[job.at];
  job.at += (size + 3u) & ~3u;
  return bytes;
}

static int32_t next_export(void) {
  uint32_t size = next_word();
  return ep_wasm_find_function(&bank.instance, next_bytes(size), size, NULL);
}

/* How far into the arena something was written: it was filled with a pattern before. */
static uint32_t arena_used(void) {
  uint32_t used = sizeof bank.arena;
  while (used > 0u && bank.arena[used - 1u] == 0xa5u) used--;
  return used;
}

static bool load_module(void) {
  const uint32_t memory = next_word(), slots = next_word(), depth = next_word();
  const ep_wasm_limits_t limits = {memory, slots, depth};
  ep_wasm_error_t why = {0};
  uint32_t size;
  bool plain;
  bank.manifest.inputs = next_word();
  bank.manifest.outputs = next_word();
  plain = next_word() != 0u;
  size = next_word();
  memcpy(bank.code, next_bytes(size), size <= sizeof bank.code ? size : 0u);
  memset(bank.arena, 0xa5, sizeof bank.arena);
  memset(&channels, 0, sizeof channels);
  ep_events_init(&events);
  bank.channels = &channels;
  bank.log = &events;
  bank.host = (ep_wasm_host_t){ep_host_imports, ep_host_import_count, &bank, NULL, NULL, NULL, 0, plain};
  ep_count_t from = ep_count_begin();
  ep_wasm_result_t result =
      ep_wasm_load(&bank.instance, bank.code, size, &limits, &bank.host, bank.arena, sizeof bank.arena, &why);
  ep_count_t to = ep_count_end();
  ep_wasm_set_sliced(&bank.instance, false);
  ep_wasm_set_fuel(&bank.instance, FUEL);
  if (result == EP_WASM_OK) result = ep_wasm_start(&bank.instance);
  ep_print("module");
  ep_print_number((uint64_t)result);
  ep_print_number(ep_count_between(from, to));
  ep_print_number(arena_used());
  if (result != EP_WASM_OK) {
    ep_print(" ");
    ep_print(why.detail);
  }
  ep_print("\n");
  return result == EP_WASM_OK;
}

static void print_call(const char *what, ep_wasm_result_t result, uint64_t instructions, int32_t fuel,
                       uint64_t value) {
  ep_print(what);
  ep_print_number((uint64_t)result);
  ep_print_number(instructions);
  ep_print_number((uint64_t)fuel);
  ep_print_number(value);
  ep_print("\n");
}

static bool call(void) {
  const int32_t function = next_export();
  const uint32_t count = next_word();
  uint64_t values[16] = {0};
  for (uint32_t i = 0; i < count && i < 16u; i++) {
    const uint64_t low = next_word();
    values[i] = low | (uint64_t)next_word() << 32;
  }
  if (function < 0) return false;
  ep_wasm_set_fuel(&bank.instance, FUEL);
  ep_count_t from = ep_count_begin();
  ep_wasm_result_t result = ep_wasm_invoke(&bank.instance, (uint32_t)function, values);
  ep_count_t to = ep_count_end();
  print_call("call", result, ep_count_between(from, to), FUEL - ep_wasm_fuel(&bank.instance), values[0]);
  return true;
}

/* One line for each scan, until one traps. */
static bool scans(void) {
  const int32_t function = next_export();
  const uint32_t count = next_word();
  const int32_t fuel = (int32_t)next_word();
  ep_process_t process = EP_PROCESS_START;
  edgeplug_Event event;
  if (function < 0) return false;
  for (uint32_t scan = 0; scan < count; scan++) {
    uint64_t none = 0;
    channels.time_us += 1000u;
    channels.scan = scan;
    ep_process_inputs(&process, channels.time_us, channels.inputs, EP_BOARD_MAX_INPUTS);
    ep_wasm_set_fuel(&bank.instance, fuel);
    ep_count_t from = ep_count_begin();
    ep_wasm_result_t result = ep_wasm_invoke(&bank.instance, (uint32_t)function, &none);
    ep_count_t to = ep_count_end();
    print_call("scan", result, ep_count_between(from, to), fuel - ep_wasm_fuel(&bank.instance), 0);
    if (result != EP_WASM_OK) break;
    ep_process_outputs(&process, channels.wanted, EP_BOARD_MAX_OUTPUTS);
    while (ep_events_take(&events, &event)) continue;
  }
  return true;
}

static bool poke(void) {
  const uint32_t address = next_word(), size = next_word();
  const uint8_t *bytes = next_bytes(size);
  uint8_t *place = ep_wasm_memory(&bank.instance, address, size);
  if (place == NULL) return false;
  memcpy(place, bytes, size);
  return true;
}

static bool native(void) {
  const uint32_t function = next_word(), first = next_word(), second = next_word();
  uint32_t value;
  uint64_t instructions = ep_native_call(function, first, second, &value);
  print_call("native", EP_WASM_OK, instructions, 0, value);
  return true;
}

static bool native_poke(void) {
  const uint32_t buffer = next_word(), size = next_word();
  memcpy(ep_native_buffer(buffer), next_bytes(size), size);
  return true;
}

/* What the two runs of a hostile module are about. */
static struct {
  ep_wasm_limits_t limits;
  uint32_t size;
  ep_wasm_result_t result;
  ep_wasm_error_t why;
} hostile_module;

static void hostile_load(void) {
  hostile_module.result = ep_wasm_load(&bank.instance, bank.code, hostile_module.size, &hostile_module.limits,
                                       &bank.host, bank.arena, sizeof bank.arena, &hostile_module.why);
}

static void hostile_call(void) {
  uint64_t values[EP_WASM_MAX_RESULTS] = {0};
  const int32_t function = ep_wasm_find_export(&bank.instance, "f", NULL);
  ep_wasm_set_fuel(&bank.instance, HOSTILE_FUEL);
  hostile_module.result = function < 0 ? ep_wasm_start(&bank.instance)
                                       : ep_wasm_invoke(&bank.instance, (uint32_t)function, values);
  hostile_module.why = *ep_wasm_last_error(&bank.instance);
}

static bool hostile(void) {
  const uint32_t memory = next_word(), slots = next_word(), depth = next_word();
  const uint8_t *bytes;
  hostile_module.limits = (ep_wasm_limits_t){memory, slots, depth};
  hostile_module.size = next_word();
  bytes = next_bytes(hostile_module.size);
  /* one that is too long is refused before it is read */
  memcpy(bank.code, bytes, hostile_module.size <= sizeof bank.code ? hostile_module.size : sizeof bank.code);
  memset(&bank.instance, 0, sizeof bank.instance);
  bank.channels = &channels;
  bank.log = &events;
  bank.host =
      (ep_wasm_host_t){.imports = ep_host_imports, .import_count = ep_host_import_count, .context = &bank};
  ep_print("hostile");
  for (uint32_t part = 0; part < 2u; part++) {
    ep_bench_result_t taken = {0, 0};
    if (part == 0u || hostile_module.result == EP_WASM_OK)
      taken = ep_bench_measure(part == 0u ? hostile_load : hostile_call);
    ep_print_number((uint64_t)hostile_module.result);
    ep_print_number(taken.stack);
  }
  if (hostile_module.result != EP_WASM_OK) {
    ep_print(" ");
    ep_print(hostile_module.why.detail);
  }
  ep_print("\n");
  return true;
}

bool ep_bench_has_job(void) {
  job.size = ep_semihost_read("job.bin", job.bytes, sizeof job.bytes);
  return job.size > 0u;
}

bool ep_bench_job(void) {
  bool good = true;
  while (good) {
    switch (next_word()) {
    case MODULE: good = load_module(); break;
    case CALL: good = call(); break;
    case SCANS: good = scans(); break;
    case POKE: good = poke(); break;
    case NATIVE: good = native(); break;
    case NATIVE_POKE: good = native_poke(); break;
    case HOSTILE: good = hostile(); break;
    default: return true;
    }
  }
  ep_print("failed job\n");
  return false;
}
