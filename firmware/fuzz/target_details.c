/* Any bytes as the custom section of a module, with its test vectors: decoded and run as a staging does.
 *
 * Input: the agent, then the section.
 */
#include <string.h>

#include "agents.h"
#include "board.h"
#include "core/host_functions.h"
#include "core/vectors.h"
#include "fuzz.h"

#define MOST 4096u

static ep_bank_t bank;
static ep_event_queue_t events;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  fuzz_board_new(FLASH_L5);
  ep_events_init(&events);
  bank.host = (ep_wasm_host_t){ep_host_imports, ep_host_import_count, &bank, NULL, NULL, NULL, 0, false};
  return 0;
}

static uint32_t put_section(uint32_t at, const uint8_t *contents, uint32_t size) {
  static const uint8_t name[] = "\10edgeplug";
  uint32_t length = size + sizeof name - 1u;
  bank.code[at++] = 0;
  bank.code[at++] = (uint8_t)(length | 0x80u);
  bank.code[at++] = (uint8_t)(length >> 7);
  memcpy(bank.code + at, name, sizeof name - 1u);
  memcpy(bank.code + at + sizeof name - 1u, contents, size);
  return at + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint32_t kinds[] = {FUZZ_CONTROL, FUZZ_REQUEST, FUZZ_FAILING, FUZZ_REQUEST};
  fuzz_input_t input = {data, data + size};
  const fuzz_package_t *package = fuzz_package(kinds[fuzz_u8(&input) & 3u]);
  uint32_t length, used = package->size;
  const uint8_t *section = fuzz_bytes(&input, MOST, &length);
  int error;
  memcpy(bank.code, package->payload, package->size);
  if (length > 0u) used = put_section(used, section, length);
  bank.manifest = package->manifest;
  bank.manifest.payload_size = used;
  bank.message[0] = '\0';
  FUZZ_CHECK(ep_agents_instantiate(&bank) == EP_OK);
  error = ep_vectors_run(&bank);
  FUZZ_CHECK(memchr(bank.message, 0, sizeof bank.message) != NULL);
  FUZZ_CHECK(error == EP_OK || error == EP_ERR_VECTOR || error == EP_ERR_MODULE_MALFORMED ||
             error == EP_ERR_AGENT_TRAP || error == EP_ERR_AGENT_FUEL);
  FUZZ_CHECK(bank.channels == NULL);
  return 0;
}
