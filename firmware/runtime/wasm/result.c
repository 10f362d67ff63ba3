#include "wasm/note.h"

/* The spec's own tests name traps like this. */
static const char *const ep_wasm_result_names[] = {
    [EP_WASM_OK] = "ok",
    [EP_WASM_MALFORMED] = "malformed",
    [EP_WASM_INVALID] = "invalid",
    [EP_WASM_UNSUPPORTED] = "unsupported",
    [EP_WASM_UNLINKABLE] = "unlinkable",
    [EP_WASM_LIMIT] = "limit",
    [EP_WASM_TRAP_UNREACHABLE] = "unreachable",
    [EP_WASM_TRAP_MEMORY] = "out of bounds memory access",
    [EP_WASM_TRAP_TABLE] = "out of bounds table access",
    [EP_WASM_TRAP_ELEMENT] = "uninitialized element",
    [EP_WASM_TRAP_CALL_TYPE] = "indirect call type mismatch",
    [EP_WASM_TRAP_DIVIDE_BY_ZERO] = "integer divide by zero",
    [EP_WASM_TRAP_OVERFLOW] = "integer overflow",
    [EP_WASM_TRAP_CONVERSION] = "invalid conversion to integer",
    [EP_WASM_TRAP_STACK] = "call stack exhausted",
    [EP_WASM_TRAP_FUEL] = "fuel exhausted",
    [EP_WASM_TRAP_HOST] = "host trap",
};

const char *ep_wasm_result_name(ep_wasm_result_t result) {
  uint32_t index = (uint32_t)result;
  return index < sizeof ep_wasm_result_names / sizeof *ep_wasm_result_names ? ep_wasm_result_names[index]
                                                                            : "unknown";
}

void ep_wasm_note(ep_wasm_error_t *error, const char *detail) {
  uint32_t i = 0;
  for (; detail[i] != '\0' && i < sizeof error->detail - 1u; i++) error->detail[i] = detail[i];
  error->detail[i] = '\0';
}
