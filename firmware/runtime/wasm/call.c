/* Calls from outside, and what host functions may ask for while one runs. */
#include <string.h>

#include "wasm/interp.h"
#include "wasm/leb.h"
#include "wasm/types.h"

void ep_wasm_set_fuel(ep_wasm_instance_t *instance, int32_t fuel) {
  instance->fuel = fuel;
}

int32_t ep_wasm_fuel(const ep_wasm_instance_t *instance) {
  return instance->fuel;
}

void ep_wasm_charge(ep_wasm_instance_t *instance, int32_t fuel) {
  instance->charged += fuel;
}

void ep_wasm_set_sliced(ep_wasm_instance_t *instance, bool sliced) {
  instance->sliced = sliced;
}

const ep_wasm_error_t *ep_wasm_last_error(const ep_wasm_instance_t *instance) {
  return &instance->error;
}

void *ep_wasm_context(const ep_wasm_instance_t *instance) {
  return instance->host->context;
}

uint8_t *ep_wasm_memory(ep_wasm_instance_t *instance, uint32_t address, uint32_t size) {
  if (!instance->has_memory || address > instance->memory_size || size > instance->memory_size - address)
    return NULL;
  return instance->memory + address;
}

void *ep_wasm_globals(ep_wasm_instance_t *instance, uint32_t *size) {
  *size = instance->global_count * (uint32_t)sizeof *instance->globals;
  return instance->globals;
}

void ep_wasm_function_arity(const ep_wasm_instance_t *instance, uint32_t index, uint32_t *params,
                            uint32_t *results) {
  *params = instance->functions[index].params;
  *results = instance->functions[index].results;
}

/* The FPU's default NaN mode makes every NaN result the canonical one; no other state of it is touched. */
#if defined(__ARM_FP)
#define EP_FPSCR_DN (1u << 25)

static uint32_t ep_wasm_enter_float_mode(void) {
  uint32_t before;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(before)::"memory");
  __asm__ volatile("vmsr fpscr, %0" ::"r"(before | EP_FPSCR_DN) : "memory");
  return before;
}

static void ep_wasm_leave_float_mode(uint32_t before) {
  __asm__ volatile("vmsr fpscr, %0" ::"r"(before) : "memory");
}
#else
static uint32_t ep_wasm_enter_float_mode(void) {
  return 0;
}

static void ep_wasm_leave_float_mode(uint32_t before) {
  (void)before;
}
#endif

/* An exported import: the host's function, without a frame. */
static ep_wasm_result_t ep_wasm_invoke_import(ep_wasm_instance_t *instance,
                                              const ep_wasm_function_t *function) {
  return instance->host->imports[function->locals].call(instance, instance->stack + 1);
}

ep_wasm_result_t ep_wasm_invoke(ep_wasm_instance_t *instance, uint32_t index, uint64_t *values) {
  const ep_wasm_function_t *function = &instance->functions[index];
  const uint8_t *results = instance->code;
  ep_wasm_result_t result;
  uint32_t float_mode;
  memset(&instance->error, 0, sizeof instance->error);
  instance->charged = 0;
  if (function->slots + 1u > (uint32_t)(instance->stack_end - instance->stack)) {
    result = EP_WASM_TRAP_STACK;
  } else {
    float_mode = ep_wasm_enter_float_mode();
    if (function->params > 0u) memcpy(instance->stack + 1, values, function->params * sizeof *values);
    result = function->start == 0u ? ep_wasm_invoke_import(instance, function)
                                   : ep_wasm_interpret(instance, index);
    ep_wasm_leave_float_mode(float_mode);
  }
  if (result != EP_WASM_OK) {
    ep_wasm_name_result(result, &instance->error);
    return result;
  }
  results += EP_TYPES_OFFSET(EP_RESULTS(ep_wasm_signature(instance, function->type)));
  for (uint32_t i = 0; i < function->results; i++) {
    bool wide = results[i] == EP_WASM_I64 || results[i] == EP_WASM_F64;
    values[i] = wide ? instance->stack[1u + i] : (uint32_t)instance->stack[1u + i];
  }
  return EP_WASM_OK;
}

ep_wasm_result_t ep_wasm_start(ep_wasm_instance_t *instance) {
  uint64_t none = 0;
  return instance->start < 0 ? EP_WASM_OK : ep_wasm_invoke(instance, (uint32_t)instance->start, &none);
}
