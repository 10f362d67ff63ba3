/* Packages that boards of the fuzz targets get, and how a host sends them. */
#include <string.h>

#include <pb_encode.h>

#include "agents.h"
#include "board.h"
#include "crypto/crc32.h"
#include "crypto/sha512.h"
#include "fuzz.h"

#define TURNS 4000u /* more than any trial of these takes */

static fuzz_package_t packages[FUZZ_PACKAGES];

static void hash(const uint8_t *bytes, uint32_t size, uint8_t digest[EP_SHA512_SIZE]) {
  ep_sha512_t sha;
  ep_sha512_init(&sha);
  ep_sha512_update(&sha, bytes, size);
  ep_sha512_final(&sha, digest);
}

bool fuzz_package_encode(fuzz_package_t *package) {
  pb_ostream_t stream =
      pb_ostream_from_buffer(package->begin.manifest.bytes, sizeof package->begin.manifest.bytes);
  package->manifest.payload_size = package->size;
  package->manifest.payload_crc32 = ep_crc32(0, package->payload, package->size);
  hash(package->payload, package->size, package->manifest.payload_sha512);
  if (!pb_encode(&stream, edgeplug_Manifest_fields, &package->manifest)) return false;
  package->begin.manifest.size = (pb_size_t)stream.bytes_written;
  return true;
}

static void make(uint32_t kind, const uint8_t *module, uint32_t size) {
  fuzz_package_t *package = &packages[kind];
  edgeplug_Manifest *manifest = &package->manifest;
  memcpy(package->payload, module, size);
  package->size = size;
  manifest->format = 1;
  strcpy(manifest->name, "fuzzed");
  strcpy(manifest->version, "1");
  manifest->kind =
      kind == FUZZ_REQUEST ? edgeplug_AgentKind_AGENT_KIND_REQUEST : edgeplug_AgentKind_AGENT_KIND_CONTROL;
  manifest->abi = EP_ABI;
  manifest->release = kind + 1u;
  manifest->inputs = 2;
  manifest->outputs = 2;
  manifest->has_limits = true;
  manifest->limits = (edgeplug_Limits){2048, 128, 8, 1500, 5000, 256};
  if (kind == FUZZ_FAILING || kind == FUZZ_INVALID) manifest->limits.io_buffer_bytes = 0;
  manifest->has_guards = true;
  manifest->guards.max_count = 1;
  manifest->guards.max[0] = 1000.0f;
  manifest->has_trial = true;
  manifest->trial.healthy_scans = 6;
  manifest->trial.deadline_scans = 40;
  manifest->trial.confirm_by_host = kind == FUZZ_CONTROL_NEXT;
  manifest->state_id = kind <= FUZZ_CONTROL_NEXT ? 7 : 0;
  FUZZ_CHECK(fuzz_package_encode(package));
}

const fuzz_package_t *fuzz_package(uint32_t kind) {
  if (packages[0].size == 0u) {
    make(FUZZ_CONTROL, fuzz_agent_control, sizeof fuzz_agent_control);
    make(FUZZ_CONTROL_NEXT, fuzz_agent_control, sizeof fuzz_agent_control);
    make(FUZZ_REQUEST, fuzz_agent_request, sizeof fuzz_agent_request);
    make(FUZZ_FAILING, fuzz_agent_failing, sizeof fuzz_agent_failing);
    make(FUZZ_INVALID, (const uint8_t *)"no module", 9);
  }
  return &packages[kind % FUZZ_PACKAGES];
}

const uint8_t *fuzz_key(uint32_t number) {
  static uint8_t keys[16][32];
  uint8_t *key = keys[number % 16u];
  memset(key, (int)(0x40u + number % 16u), 32);
  return key;
}

void fuzz_package_sign(edgeplug_Begin *begin, const uint8_t key[32]) {
  uint8_t digest[EP_SHA512_SIZE];
  hash(key, 32, digest);
  begin->key_id.size = EP_RECORD_KEY_ID_SIZE;
  memcpy(begin->key_id.bytes, digest, EP_RECORD_KEY_ID_SIZE);
  begin->signature.size = EP_RECORD_SIGNATURE_SIZE;
  fuzz_sign(begin->signature.bytes, key, begin->manifest.bytes, begin->manifest.size);
}

static int error_of(const fuzz_reply_t *reply) {
  return -(int)reply->response.error;
}

int fuzz_board_update(const fuzz_package_t *package, const edgeplug_Begin *begin, bool activate) {
  static edgeplug_Request request;
  uint32_t offset;
  int error;
  request.which_body = edgeplug_Request_begin_tag;
  request.body.begin = *begin;
  error = error_of(fuzz_board_request(&request));
  if (error != EP_OK) return error;
  offset = fuzz_board_reply()->response.body.begin.offset;
  /* A page that doesn't take its bytes is tried again, three times in a session. */
  for (uint32_t turn = 0; offset < package->size && turn < 8u; turn++) {
    edgeplug_Chunk *chunk = &request.body.chunk;
    request.which_body = edgeplug_Request_chunk_tag;
    chunk->offset = offset;
    chunk->data.size = (pb_size_t)(package->size - offset);
    memcpy(chunk->data.bytes, package->payload + offset, package->size - offset);
    error = error_of(fuzz_board_request(&request));
    if (error != EP_OK) return error;
    offset = fuzz_board_reply()->response.body.chunk.next_offset;
  }
  if (!fuzz_board_settle(TURNS)) return EP_ERR_STALLED;
  if (ep_runtime.hotswap.phase != edgeplug_UpdatePhase_UPDATE_PHASE_STAGED)
    return ep_runtime.hotswap.last_error;
  if (!activate) return EP_OK;
  error = error_of(fuzz_board_ask(edgeplug_Request_activate_tag));
  if (error != EP_OK) return error;
  if (package->manifest.trial.confirm_by_host) (void)fuzz_board_ask(edgeplug_Request_confirm_tag);
  if (package->manifest.kind == edgeplug_AgentKind_AGENT_KIND_REQUEST) {
    request.which_body = edgeplug_Request_call_tag;
    request.body.call.data.size = 1;
    request.body.call.data.bytes[0] = 1;
    (void)fuzz_board_request(&request);
  }
  return fuzz_board_settle(TURNS) ? ep_runtime.hotswap.last_error : EP_ERR_STALLED;
}
