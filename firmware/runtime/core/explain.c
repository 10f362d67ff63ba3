/* What the scan and the main loop both say of an agent that failed; in SRAM with the scan. */
#include <string.h>

#include "core/agents.h"

edgeplug_Reason ep_agents_reason(ep_wasm_result_t result) {
  if (result == EP_WASM_OK) return edgeplug_Reason_REASON_NONE;
  return result == EP_WASM_TRAP_FUEL ? edgeplug_Reason_REASON_FUEL : edgeplug_Reason_REASON_TRAP;
}

ep_wasm_result_t ep_agents_invoke(ep_bank_t *bank, int32_t function, uint64_t *value, uint32_t fuel,
                                  bool sliced) {
  ep_wasm_result_t result;
  ep_wasm_set_sliced(&bank->instance, sliced);
  ep_wasm_set_fuel(&bank->instance, (int32_t)fuel);
  result = ep_wasm_invoke(&bank->instance, (uint32_t)function, value);
  if (result != EP_WASM_OK) ep_agents_explain(bank, result, ep_wasm_last_error(&bank->instance));
  return result;
}

void ep_agents_explain(ep_bank_t *bank, ep_wasm_result_t result, const ep_wasm_error_t *error) {
  const char *text = error->detail;
  uint32_t length = (uint32_t)strlen(text);
  /* A host function that trapped has said already what it was about. */
  if (result == EP_WASM_TRAP_HOST && bank->message[0] != '\0') return;
  if (length > EP_AGENT_MESSAGE_SIZE) length = EP_AGENT_MESSAGE_SIZE;
  memcpy(bank->message, text, length);
  bank->message[length] = '\0';
}
