#include "modules.h"

#include <string.h>

#include "wasm/wasm.h"

/* Side table, value stack and three pages of memory at once fit for all but the most branching modules. */
#define ARENA_SIZE  524288u
#define STACK_SLOTS 8192u
#define CALL_DEPTH  1000u
#define MEMORY_SIZE (3u * 65536u)

/* The image runs one instance; unlike in the runtime, it may be static. */
static struct {
  uint64_t arena[ARENA_SIZE / 8u];
  ep_wasm_instance_t instance;
  bool loaded;
  int32_t fuel; /* that the last invoke took */
} module;

/* ---- spectest, as the WebAssembly spec's tests define it ------------------------------------------------- */

static ep_wasm_result_t print_nothing(ep_wasm_instance_t *instance, uint64_t *args) {
  (void)instance;
  (void)args;
  return EP_WASM_OK;
}

static const ep_wasm_import_t spectest_functions[] = {
    {"spectest", "print", "()", print_nothing},
    {"spectest", "print_i32", "(i)", print_nothing},
    {"spectest", "print_i64", "(I)", print_nothing},
    {"spectest", "print_f32", "(f)", print_nothing},
    {"spectest", "print_f64", "(F)", print_nothing},
    {"spectest", "print_i32_f32", "(if)", print_nothing},
    {"spectest", "print_f64_f64", "(FF)", print_nothing},
};

static const ep_wasm_external_t spectest_externals[] = {
    {.module = "spectest", .name = "global_i32", .kind = EP_WASM_GLOBAL, .type = 0x7F, .value = 666},
    {.module = "spectest", .name = "global_i64", .kind = EP_WASM_GLOBAL, .type = 0x7E, .value = 666},
    {.module = "spectest",
     .name = "global_f32",
     .kind = EP_WASM_GLOBAL,
     .type = 0x7D,
     .value = 0x4426A666}, /* 666.6 */
    {.module = "spectest",
     .name = "global_f64",
     .kind = EP_WASM_GLOBAL,
     .type = 0x7C,
     .value = 0x4084D4CCCCCCCCCD},
    {.module = "spectest", .name = "table", .kind = EP_WASM_TABLE, .min = 10, .max = 20},
    {.module = "spectest", .name = "memory", .kind = EP_WASM_MEMORY, .min = 1, .max = 2},
};

static const ep_wasm_host_t spectest = {
    .imports = spectest_functions,
    .import_count = sizeof spectest_functions / sizeof *spectest_functions,
    .externals = spectest_externals,
    .external_count = sizeof spectest_externals / sizeof *spectest_externals,
};

/* ---- replies --------------------------------------------------------------------------------------------- */

typedef struct {
  char *text;
  size_t size;
  size_t length;
} reply_t;

static void reply_add(reply_t *reply, const char *text) {
  for (; *text != '\0' && reply->length + 1u < reply->size; text++) {
    char c = *text >= ' ' && *text <= '~' ? *text : '?'; /* names come from the module */
    reply->text[reply->length++] = c;
  }
  reply->text[reply->length] = '\0';
}

static void reply_add_hex(reply_t *reply, uint64_t value) {
  char digits[18] = " ";
  for (uint32_t i = 0; i < 16u; i++) digits[1u + i] = "0123456789abcdef"[value >> (60u - 4u * i) & 15u];
  digits[17] = '\0';
  reply_add(reply, digits);
}

static void reply_error(reply_t *reply, ep_wasm_result_t result, const char *detail) {
  ep_wasm_error_t name;
  ep_wasm_name_result(result, &name);
  reply_add(reply, "err ");
  if (result >= EP_WASM_TRAP_UNREACHABLE) reply_add(reply, "trap ");
  reply_add(reply, name.detail);
  if (detail[0] == '\0' || strcmp(detail, name.detail) == 0) return;
  reply_add(reply, result >= EP_WASM_TRAP_UNREACHABLE ? ": " : " ");
  reply_add(reply, detail);
}

/* ---- requests -------------------------------------------------------------------------------------------- */

void ep_conformance_module_load(uint8_t *code, uint32_t size, char *reply, size_t reply_size) {
  static const ep_wasm_limits_t limits = {MEMORY_SIZE, STACK_SLOTS, CALL_DEPTH};
  reply_t answer = {reply, reply_size, 0};
  ep_wasm_error_t error;
  ep_wasm_result_t result = ep_wasm_load(&module.instance, code, size, &limits, &spectest, module.arena,
                                         sizeof module.arena, &error);
  module.loaded = false;
  module.fuel = 0;
  if (result == EP_WASM_OK) {
    ep_wasm_set_fuel(&module.instance, INT32_MAX);
    result = ep_wasm_start(&module.instance);
    error = *ep_wasm_last_error(&module.instance);
  }
  if (result != EP_WASM_OK) {
    reply_error(&answer, result, error.detail);
    return;
  }
  module.loaded = true;
  reply_add(&answer, "ok");
}

void ep_conformance_module_invoke(const uint8_t *name, uint32_t name_size, const uint64_t *args,
                                  uint32_t count, char *reply, size_t reply_size) {
  reply_t answer = {reply, reply_size, 0};
  uint64_t values[EP_CONFORMANCE_MAX_ARGS];
  uint32_t params = 0;
  uint32_t results = 0;
  ep_wasm_result_t result;
  int32_t function = module.loaded ? ep_wasm_find_function(&module.instance, name, name_size, NULL) : -1;
  if (function < 0) {
    reply_add(&answer, "err unknown function");
    return;
  }
  ep_wasm_function_arity(&module.instance, (uint32_t)function, &params, &results);
  if (params != count || count > EP_CONFORMANCE_MAX_ARGS || results > EP_CONFORMANCE_MAX_RESULTS) {
    reply_add(&answer, "err unknown type");
    return;
  }
  if (count > 0u) memcpy(values, args, count * sizeof *values);
  ep_wasm_set_fuel(&module.instance, INT32_MAX);
  result = ep_wasm_invoke(&module.instance, (uint32_t)function, values);
  module.fuel = INT32_MAX - ep_wasm_fuel(&module.instance);
  if (result != EP_WASM_OK) {
    reply_add(&answer, "t ");
    reply_add(&answer, ep_wasm_last_error(&module.instance)->detail);
    return;
  }
  reply_add(&answer, "r");
  for (uint32_t i = 0; i < results; i++) reply_add_hex(&answer, values[i]);
}

void ep_conformance_module_fuel(char *reply, size_t reply_size) {
  reply_t answer = {reply, reply_size, 0};
  reply_add(&answer, "r");
  reply_add_hex(&answer, (uint32_t)module.fuel);
}

void ep_conformance_module_reset(char *reply, size_t reply_size) {
  reply_t answer = {reply, reply_size, 0};
  module.loaded = false;
  reply_add(&answer, "ok");
}
