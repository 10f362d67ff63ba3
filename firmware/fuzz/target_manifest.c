/* Any bytes as a manifest, to Begin on a board in one of its states. What Begin lets in is within every limit of the
 * board, by a list of our own; what it refuses leaves no trace in flash.
 *
 * Input: the state with bit 7 for signed, then the manifest.
 */
#include <string.h>

#include <pb_decode.h>

#include "fuzz.h"
#include "states.h"

static edgeplug_Begin begin;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  fuzz_states_make();
  return 0;
}

static void check_limits(const edgeplug_Manifest *manifest) {
  const edgeplug_Limits *limits = &manifest->limits;
  const ep_board_map_t *map = ep_board_map();
  bool control = manifest->kind == edgeplug_AgentKind_AGENT_KIND_CONTROL;
  FUZZ_CHECK(manifest->format == 1u && manifest->abi == EP_ABI);
  FUZZ_CHECK(control || manifest->kind == edgeplug_AgentKind_AGENT_KIND_REQUEST);
  FUZZ_CHECK(manifest->board_class == 0u || manifest->board_class == map->board_class);
  FUZZ_CHECK(manifest->payload_size >= 1u && manifest->payload_size <= 13824u);
  FUZZ_CHECK(manifest->inputs <= map->inputs && manifest->outputs <= map->outputs);
  FUZZ_CHECK(limits->memory_bytes <= 16384u && limits->stack_slots <= 1024u && limits->call_depth <= 64u);
  FUZZ_CHECK(limits->io_buffer_bytes <= 512u);
  FUZZ_CHECK(limits->fuel > 0u && limits->fuel <= 20000000u && limits->init_fuel <= 20000000u);
  FUZZ_CHECK(!control || (uint64_t)limits->fuel * map->nanos_per_fuel <= 700u * (uint64_t)map->tick_us);
  FUZZ_CHECK(manifest->trial.attempts <= 3u);
  FUZZ_CHECK(manifest->security_version >=
             ep_runtime.hotswap.journal.kept[EP_KEPT_STATE].u.state.security_version);
}

/* The announced record lies in flash as it came, and the board can tell of it. */
static void check_taken(const edgeplug_BeginReply *reply) {
  static edgeplug_Manifest manifest;
  edgeplug_BeginReply again = edgeplug_BeginReply_init_zero;
  edgeplug_SlotInfo info;
  ep_record_t record;
  pb_istream_t stream = pb_istream_from_buffer(begin.manifest.bytes, begin.manifest.size);
  memset(&manifest, 0, sizeof manifest);
  FUZZ_CHECK(pb_decode(&stream, edgeplug_Manifest_fields, &manifest));
  check_limits(&manifest);
  FUZZ_CHECK(reply->slot <= 1u && reply->slot != ep_runtime.hotswap.active);
  FUZZ_CHECK(reply->offset <= manifest.payload_size);
  FUZZ_CHECK(ep_hotswap_slot_info(&ep_runtime.hotswap, reply->slot, &info) == EP_OK);
  FUZZ_CHECK(info.payload_size == manifest.payload_size && info.swap_number == reply->swap_number);
  ep_record_read(&ep_runtime.hotswap.journal, reply->slot, &record);
  FUZZ_CHECK(record.header.manifest_length == begin.manifest.size);
  FUZZ_CHECK(memcmp(record.header.manifest, begin.manifest.bytes, begin.manifest.size) == 0);
  FUZZ_CHECK(ep_hotswap_begin(&ep_runtime.hotswap, &begin, &again) == EP_OK);
  FUZZ_CHECK(again.resumed && again.slot == reply->slot && again.swap_number == reply->swap_number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint8_t states[] = {STATE_EMPTY,   STATE_RUNNING, STATE_UPDATED, STATE_REJECTED,
                                   STATE_SERVING, STATE_KEYS,    STATE_LOCKED,  STATE_WRAPPED};
  fuzz_input_t input = {data, data + size};
  edgeplug_BeginReply reply = edgeplug_BeginReply_init_zero;
  uint32_t how = fuzz_u8(&input), operations, length;
  const uint8_t *bytes = fuzz_bytes(&input, sizeof begin.manifest.bytes, &length);
  fuzz_board_restore(fuzz_state(2u * states[how >> 1 & 7u] + (how & 1u)));
  memset(&begin, 0, sizeof begin);
  memcpy(begin.manifest.bytes, bytes, length);
  begin.manifest.size = (pb_size_t)length;
  begin.allow_downgrade = (how & 0x40u) != 0u;
  if ((how & 0x80u) != 0u) fuzz_package_sign(&begin, fuzz_key(how >> 4 & 3u));
  operations = fuzz_board_operations();
  if (ep_hotswap_begin(&ep_runtime.hotswap, &begin, &reply) == EP_OK) {
    check_taken(&reply);
  } else {
    FUZZ_CHECK(fuzz_board_operations() == operations);
  }
  FUZZ_CHECK(fuzz_board_violations() == 0u);
  return 0;
}
