/* The board's own engine for builds on the host: one agent in one bank, with the very host functions, limits and
 * vectors of the runtime, and nothing around it. src/engine.ts is the other half.
 *
 * The bank lies behind the image's own data, in memory that engine.ts adds, so that boards that never build
 * anything don't carry it.
 */
#include <string.h>

#include "core/agents.h"
#include "core/guards.h"
#include "core/host_functions.h"
#include "core/vectors.h"
#include "errors.h"

#define EXPORT(name) __attribute__((export_name(#name)))

typedef struct {
  ep_bank_t bank;
  ep_channels_t channels;
  ep_event_queue_t log;
  edgeplug_Event event;
  float applied[EP_BOARD_MAX_OUTPUTS];
} engine_t;

static engine_t *engine; /* set once, by engine_place() */

static void no_step(void *context) {
  (void)context;
}

EXPORT(engine_size) uint32_t engine_size(void);
uint32_t engine_size(void) {
  return sizeof(engine_t);
}

/* `at` is engine_size() bytes, aligned to 16. */
EXPORT(engine_place) void engine_place(void *at);
void engine_place(void *at) {
  engine = at;
}

/* Where engine.ts puts the module's bytes. */
EXPORT(engine_code) uint8_t *engine_code(void);
uint8_t *engine_code(void) {
  return engine->bank.code;
}

EXPORT(engine_code_max) uint32_t engine_code_max(void);
uint32_t engine_code_max(void) {
  return sizeof engine->bank.code;
}

EXPORT(engine_limits)
void engine_limits(uint32_t memory_bytes, uint32_t stack_slots, uint32_t call_depth, uint32_t fuel,
                   uint32_t init_fuel, uint32_t io_buffer_bytes);
void engine_limits(uint32_t memory_bytes, uint32_t stack_slots, uint32_t call_depth, uint32_t fuel,
                   uint32_t init_fuel, uint32_t io_buffer_bytes) {
  edgeplug_Limits *limits = &engine->bank.manifest.limits;
  limits->memory_bytes = memory_bytes;
  limits->stack_slots = stack_slots;
  limits->call_depth = call_depth;
  limits->fuel = fuel;
  limits->init_fuel = init_fuel;
  limits->io_buffer_bytes = io_buffer_bytes;
}

/* A fresh instance of the `size` bytes at engine_code(): EP_OK or an error. `kind` is an edgeplug_AgentKind. */
EXPORT(engine_load) int engine_load(uint32_t size, uint32_t kind, uint32_t inputs, uint32_t outputs);
int engine_load(uint32_t size, uint32_t kind, uint32_t inputs, uint32_t outputs) {
  ep_bank_t *bank = &engine->bank;
  int error;
  bank->manifest.payload_size = size;
  bank->manifest.kind = (edgeplug_AgentKind)kind;
  bank->manifest.inputs = inputs;
  bank->manifest.outputs = outputs;
  bank->message[0] = '\0';
  bank->host = (ep_wasm_host_t){.imports = ep_host_imports,
                                .import_count = ep_host_import_count,
                                .context = bank,
                                .validate_step = no_step,
                                .fuel_step = no_step};
  ep_events_init(&engine->log);
  bank->log = &engine->log;
  memset(&engine->channels, 0, sizeof engine->channels);
  memset(engine->applied, 0, sizeof engine->applied);
  error = ep_agents_instantiate(bank);
  bank->channels = &engine->channels;
  return error;
}

/* The module's test vectors; they leave their traces in the instance. */
EXPORT(engine_vectors) int engine_vectors(void);
int engine_vectors(void) {
  int error;
  engine->bank.message[0] = '\0';
  error = ep_vectors_run(&engine->bank);
  engine->bank.channels = &engine->channels;
  return error;
}

EXPORT(engine_inputs) float *engine_inputs(void);
float *engine_inputs(void) {
  return engine->channels.inputs;
}

/* What the agent wrote, before the guards. */
EXPORT(engine_outputs) float *engine_outputs(void);
float *engine_outputs(void) {
  return engine->channels.wanted;
}

/* A guard of channel `channel`, the channels in order: `list` is 0 for min, 1 max, 2 slew, 3 fail-safe. */
EXPORT(engine_guard) void engine_guard(uint32_t list, uint32_t channel, float value);
void engine_guard(uint32_t list, uint32_t channel, float value) {
  edgeplug_Guards *guards = &engine->bank.manifest.guards;
  float *values[] = {guards->min, guards->max, guards->slew, guards->fail_safe};
  pb_size_t *counts[] = {&guards->min_count, &guards->max_count, &guards->slew_count,
                         &guards->fail_safe_count};
  values[list][channel] = value;
  *counts[list] = (pb_size_t)(channel + 1u);
}

EXPORT(engine_no_guards) void engine_no_guards(void);
void engine_no_guards(void) {
  memset(&engine->bank.manifest.guards, 0, sizeof engine->bank.manifest.guards);
}

/* What the machine gets: what the agent wrote, within its guards. The number of outputs that had to be changed. */
EXPORT(engine_apply) uint32_t engine_apply(void);
uint32_t engine_apply(void) {
  const edgeplug_Manifest *manifest = &engine->bank.manifest;
  return ep_guards_apply(&manifest->guards, engine->channels.wanted, engine->applied, manifest->outputs);
}

EXPORT(engine_applied) float *engine_applied(void);
float *engine_applied(void) {
  return engine->applied;
}

EXPORT(engine_set_scan) void engine_set_scan(double scan, double time_us);
void engine_set_scan(double scan, double time_us) {
  engine->channels.scan = (uint64_t)scan;
  engine->channels.time_us = (uint64_t)time_us;
}

static int invoke(int32_t function, uint64_t *value) {
  ep_bank_t *bank = &engine->bank;
  ep_wasm_result_t result;
  bank->message[0] = '\0';
  if (function < 0) return EP_ERR_NO_HANDLER;
  ep_wasm_set_fuel(&bank->instance, (int32_t)bank->manifest.limits.fuel);
  result = ep_wasm_invoke(&bank->instance, (uint32_t)function, value);
  if (result != EP_WASM_OK) ep_agents_explain(bank, result, ep_wasm_last_error(&bank->instance));
  return ep_agents_error(result);
}

EXPORT(engine_scan) int engine_scan(void);
int engine_scan(void) {
  uint64_t none = 0;
  return invoke(engine->bank.scan, &none);
}

/* Bytes go in and out at engine_io(); the functions that answer a size answer it, or a (negative) error. */
EXPORT(engine_io) uint8_t *engine_io(void);
uint8_t *engine_io(void) {
  return ep_wasm_memory(&engine->bank.instance, engine->bank.io_buffer, engine->bank.io_size);
}

static int sized(int error, uint64_t size) {
  if (error != EP_OK) return error;
  return (uint32_t)size <= engine->bank.io_size ? (int)(uint32_t)size : EP_ERR_REPLY;
}

EXPORT(engine_handle) int engine_handle(uint32_t size);
int engine_handle(uint32_t size) {
  uint64_t value = size;
  int error = invoke(engine->bank.handle, &value);
  return sized(error, value);
}

EXPORT(engine_save) int engine_save(void);
int engine_save(void) {
  uint64_t value = 0;
  int error = invoke(engine->bank.save, &value);
  return sized(error, value);
}

EXPORT(engine_restore) int engine_restore(uint32_t size);
int engine_restore(uint32_t size) {
  uint64_t value = size;
  return invoke(engine->bank.restore, &value);
}

/* Fuel that the last call left; negative if it ran over. */
EXPORT(engine_fuel_left) int32_t engine_fuel_left(void);
int32_t engine_fuel_left(void) {
  return ep_wasm_fuel(&engine->bank.instance);
}

/* What the last failure was about, zero-terminated. */
EXPORT(engine_message) const char *engine_message(void);
const char *engine_message(void) {
  return engine->bank.message;
}

/* The next line that the agent logged, zero-terminated, or NULL. */
EXPORT(engine_log_line) const char *engine_log_line(void);
const char *engine_log_line(void) {
  return ep_events_take(&engine->log, &engine->event) ? engine->event.text : NULL;
}

/* Whether `error` is one of those of which the engine knows where they happened. */
EXPORT(engine_trapped) bool engine_trapped(int error);
bool engine_trapped(int error) {
  return error == EP_ERR_AGENT_TRAP || error == EP_ERR_AGENT_FUEL;
}

/* Where the last failing call ended: byte offset in the module, and function index. */
EXPORT(engine_trap_offset) uint32_t engine_trap_offset(void);
uint32_t engine_trap_offset(void) {
  return ep_wasm_last_error(&engine->bank.instance)->offset;
}

EXPORT(engine_trap_function) uint32_t engine_trap_function(void);
uint32_t engine_trap_function(void) {
  return ep_wasm_last_error(&engine->bank.instance)->function;
}
