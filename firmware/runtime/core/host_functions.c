#include "core/host_functions.h"

#include <string.h>

#include "core/agents.h"

/* Appends a number, with `before` in front of it. */
static uint32_t ep_host_append_number(char *text, uint32_t length, char before, uint32_t number) {
  char digits[10];
  uint32_t count = 0;
  if (length < EP_AGENT_MESSAGE_SIZE) text[length++] = before;
  do {
    digits[count++] = (char)('0' + number % 10u);
    number /= 10u;
  } while (number != 0u);
  while (count > 0u && length < EP_AGENT_MESSAGE_SIZE) text[length++] = digits[--count];
  return length;
}

static ep_wasm_result_t ep_host_no_channel(ep_bank_t *bank, const char *text, uint32_t channel) {
  uint32_t length = (uint32_t)strlen(text);
  memcpy(bank->message, text, length);
  bank->message[ep_host_append_number(bank->message, length, ' ', channel)] = '\0';
  return EP_WASM_TRAP_HOST;
}

/* input(channel: i32): f32. A channel that the manifest doesn't name traps. */
static ep_wasm_result_t ep_host_input(ep_wasm_instance_t *instance, uint64_t *args) {
  ep_bank_t *bank = ep_wasm_context(instance);
  uint32_t channel = (uint32_t)args[0], bits;
  if (channel >= bank->manifest.inputs) return ep_host_no_channel(bank, "no input channel", channel);
  memcpy(&bits, &bank->channels->inputs[channel], sizeof bits);
  args[0] = bits;
  return EP_WASM_OK;
}

/* output(channel: i32, value: f32) */
static ep_wasm_result_t ep_host_output(ep_wasm_instance_t *instance, uint64_t *args) {
  ep_bank_t *bank = ep_wasm_context(instance);
  uint32_t channel = (uint32_t)args[0], bits = (uint32_t)args[1];
  if (channel >= bank->manifest.outputs) return ep_host_no_channel(bank, "no output channel", channel);
  memcpy(&bank->channels->wanted[channel], &bits, sizeof bits);
  return EP_WASM_OK;
}

/* now_us(): i64, the time at which this scan began */
static ep_wasm_result_t ep_host_now(ep_wasm_instance_t *instance, uint64_t *args) {
  const ep_bank_t *bank = ep_wasm_context(instance);
  args[0] = bank->channels->time_us;
  return EP_WASM_OK;
}

/* log(ptr: i32, len: i32): UTF-8, cut to what an event holds */
static ep_wasm_result_t ep_host_log(ep_wasm_instance_t *instance, uint64_t *args) {
  const ep_bank_t *bank = ep_wasm_context(instance);
  uint32_t size = (uint32_t)args[1];
  const uint8_t *text = ep_wasm_memory(instance, (uint32_t)args[0], size);
  edgeplug_Event *event;
  ep_wasm_charge(instance, (int32_t)EP_LOG_FUEL);
  if (text == NULL) return EP_WASM_TRAP_MEMORY;
  if (bank->log == NULL) return EP_WASM_OK;
  event =
      ep_events_put(bank->log, edgeplug_EventKind_EVENT_KIND_LOG, bank->channels->scan, bank->swap_number);
  if (size > sizeof event->text - 1u) {
    size = sizeof event->text - 1u;
    /* Not in the middle of a character (RFC 3629: continuation bytes are 10xxxxxx). */
    while (size > 0u && (text[size] & 0xC0u) == 0x80u) size--;
  }
  memcpy(event->text, text, size);
  return EP_WASM_OK;
}

/* Appends an AssemblyScript string (UTF-16LE, its byte length 4 bytes before it) as ASCII. */
static uint32_t ep_host_append(ep_wasm_instance_t *instance, char *text, uint32_t length, uint32_t string) {
  const uint8_t *header = string >= 4u ? ep_wasm_memory(instance, string - 4u, 4u) : NULL;
  uint32_t size;
  if (header == NULL) return length;
  memcpy(&size, header, sizeof size);
  for (uint32_t at = 0; at + 1u < size && length < EP_AGENT_MESSAGE_SIZE; at += 2u) {
    const uint8_t *unit = ep_wasm_memory(instance, string + at, 2u);
    if (unit == NULL) break;
    text[length++] = unit[1] == 0u && unit[0] >= 0x20u && unit[0] < 0x7Fu ? (char)unit[0] : '?';
  }
  return length;
}

/* env.abort(message, file, line, column): "message file:line:column" is kept for the host. */
static ep_wasm_result_t ep_host_abort(ep_wasm_instance_t *instance, uint64_t *args) {
  ep_bank_t *bank = ep_wasm_context(instance);
  uint32_t length = ep_host_append(instance, bank->message, 0, (uint32_t)args[0]);
  if (length > 0u && length < EP_AGENT_MESSAGE_SIZE) bank->message[length++] = ' ';
  length = ep_host_append(instance, bank->message, length, (uint32_t)args[1]);
  length = ep_host_append_number(bank->message, length, ':', (uint32_t)args[2]);
  length = ep_host_append_number(bank->message, length, ':', (uint32_t)args[3]);
  bank->message[length] = '\0';
  return EP_WASM_TRAP_HOST;
}

const ep_wasm_import_t ep_host_imports[ep_host_import_count] = {
    {"edgeplug", "input", "(i)f", ep_host_input}, {"edgeplug", "output", "(if)", ep_host_output},
    {"edgeplug", "now_us", "()I", ep_host_now},   {"edgeplug", "log", "(ii)", ep_host_log},
    {"env", "abort", "(iiii)", ep_host_abort},
};
