#include "core/vectors.h"

#include <string.h>

#include "errors.h"
#include "pb_decode.h"

typedef struct {
  ep_bank_t *bank;
  uint32_t index;
  uint32_t unreported; /* fuel of calls too short to report by themselves */
  int error;
} ep_vectors_t;

/* A call reports each whole slice of its fuel; what is left over adds up with the calls that follow, so that a
 * thousand short scans count as work too. */
static void ep_vectors_report(ep_vectors_t *run, int32_t used) {
  run->unreported += (uint32_t)used % EP_FUEL_SLICE;
  if (run->unreported < EP_FUEL_SLICE) return;
  run->unreported -= EP_FUEL_SLICE;
  ep_board_work(EP_WORK_FUEL_SLICE);
}

static int ep_vectors_call(ep_vectors_t *run, int32_t function, uint64_t *value) {
  ep_bank_t *bank = run->bank;
  int32_t fuel = ep_wasm_fuel(&bank->instance);
  ep_wasm_result_t result = ep_agents_invoke(bank, function, value, (uint32_t)fuel, true);
  ep_vectors_report(run, fuel - ep_wasm_fuel(&bank->instance));
  return ep_agents_error(result);
}

/* Written so that a NaN on either side is no match. */
static bool ep_vectors_near(float value, float expected, float tolerance) {
  float difference = value - expected;
  return value == expected || (difference <= tolerance && difference >= -tolerance);
}

static int ep_vectors_control(ep_vectors_t *run, const edgeplug_TestVector *vector) {
  ep_bank_t *bank = run->bank;
  uint32_t scans = vector->scans == 0u ? 1u : vector->scans;
  uint64_t none = 0;
  memcpy(bank->channels->inputs, vector->inputs, vector->inputs_count * sizeof vector->inputs[0]);
  for (uint32_t scan = 0; scan < scans; scan++) {
    int error;
    bank->channels->time_us += ep_board_map()->tick_us;
    error = ep_vectors_call(run, bank->scan, &none);
    if (error != EP_OK) return error;
  }
  for (uint32_t channel = 0; channel < vector->outputs_count; channel++) {
    if (!ep_vectors_near(bank->channels->wanted[channel], vector->outputs[channel], vector->tolerance)) {
      return EP_ERR_VECTOR;
    }
  }
  return EP_OK;
}

static int ep_vectors_request(ep_vectors_t *run, const edgeplug_TestVector *vector) {
  ep_bank_t *bank = run->bank;
  uint64_t value = vector->request.size;
  uint8_t *buffer = ep_wasm_memory(&bank->instance, bank->io_buffer, bank->io_size);
  int error;
  if (buffer == NULL || vector->request.size > bank->io_size) return EP_ERR_VECTOR;
  memcpy(buffer, vector->request.bytes, vector->request.size);
  error = ep_vectors_call(run, bank->handle, &value);
  if (error != EP_OK) return error;
  if ((uint32_t)value != vector->reply.size || vector->reply.size > bank->io_size) return EP_ERR_VECTOR;
  return memcmp(buffer, vector->reply.bytes, vector->reply.size) == 0 ? EP_OK : EP_ERR_VECTOR;
}

static void ep_vectors_explain(ep_bank_t *bank, uint32_t index) {
  static const char text[] = "vector 00";
  memcpy(bank->message, text, sizeof text);
  bank->message[7] = (char)('0' + index / 10u % 10u);
  bank->message[8] = (char)('0' + index % 10u);
}

/* nanopb calls this for each vector, with a stream of just its bytes. */
static bool ep_vectors_decode(pb_istream_t *stream, const pb_field_iter_t *field, void **arg) {
  ep_vectors_t *run = *arg;
  ep_bank_t *bank = run->bank;
  edgeplug_TestVector vector = edgeplug_TestVector_init_zero;
  (void)field;
  if (!pb_decode(stream, edgeplug_TestVector_fields, &vector)) return false;
  run->index++;
  ep_wasm_set_fuel(&bank->instance, (int32_t)bank->manifest.limits.init_fuel);
  run->error = bank->manifest.kind == edgeplug_AgentKind_AGENT_KIND_CONTROL
                   ? ep_vectors_control(run, &vector)
                   : ep_vectors_request(run, &vector);
  if (run->error == EP_ERR_VECTOR) ep_vectors_explain(bank, run->index);
  return run->error == EP_OK;
}

int ep_vectors_run(ep_bank_t *bank) {
  uint32_t size = 0;
  const uint8_t *section = ep_wasm_custom_section(bank->code, bank->manifest.payload_size, "edgeplug", &size);
  ep_channels_t channels;
  ep_vectors_t run = {.bank = bank, .index = 0, .unreported = 0, .error = EP_OK};
  edgeplug_AgentDetails details = edgeplug_AgentDetails_init_zero;
  pb_istream_t stream;
  bool decoded;
  if (section == NULL) return EP_OK;
  memset(&channels, 0, sizeof channels);
  bank->channels = &channels;
  details.vectors.funcs.decode = ep_vectors_decode;
  details.vectors.arg = &run;
  stream = pb_istream_from_buffer(section, size);
  decoded = pb_decode(&stream, edgeplug_AgentDetails_fields, &details);
  bank->channels = NULL;
  if (run.error != EP_OK) return run.error;
  return decoded ? EP_OK : EP_ERR_MODULE_MALFORMED;
}
