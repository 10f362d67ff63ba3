#include "core/agents.h"

#include <string.h>

#include "core/host_functions.h"
#include "core/shadow.h"
#include "core/vectors.h"
#include "crypto/crc32.h"
#include "crypto/sha512.h"
#include "errors.h"
#include "hotswap/defects.h"

#define EP_COPY_BLOCK         256u
#define EP_SHA512_BLOCK       128u
#define EP_DEFAULT_GUARD_HITS 100u

/* What is asked for happens in the next scan. So long without one, and the watchdog is about to act. */
#define EP_SWITCH_US 100000u

void ep_agents_init(ep_agents_t *agents, ep_event_queue_t *events) {
  memset(agents, 0, sizeof *agents);
  agents->events = events;
  for (uint32_t channel = 0; channel < EP_BOARD_MAX_OUTPUTS; channel++) {
    agents->outputs[channel] = ep_board_map()->fail_safe[channel];
  }
}

int ep_agents_error(ep_wasm_result_t result) {
  switch (result) {
  case EP_WASM_OK: return EP_OK;
  case EP_WASM_MALFORMED: return EP_ERR_MODULE_MALFORMED;
  case EP_WASM_INVALID: return EP_ERR_MODULE_INVALID;
  case EP_WASM_UNSUPPORTED: return EP_ERR_MODULE_UNSUPPORTED;
  case EP_WASM_UNLINKABLE: return EP_ERR_MODULE_IMPORT;
  case EP_WASM_LIMIT: return EP_ERR_MODULE_LIMIT;
  case EP_WASM_TRAP_FUEL: return EP_ERR_AGENT_FUEL;
  default: return EP_ERR_AGENT_TRAP;
  }
}

/* ---- defects ---------------------------------------------------------------------------------- */

/* As in hotswap/defects.h, but for the stress suite to notice: no power cut would show them. */
#define EP_AGENTS_DEFECT(name) EP_DEFECT(name)

static uint32_t ep_agents_leaked; /* LEAK: bytes of the arenas that no instance gets any more */

/* STACK: needs a frame more with each swap. */
__attribute__((noinline)) static uint32_t ep_agents_descend(uint32_t frames) {
  volatile uint32_t frame[64] = {frames};
  if (frames > 0u) frame[1] = ep_agents_descend(frames - 1u);
  return frame[0] + frame[1];
}

/* ---- loading a candidate --------------------------------------------------------------------- */

static void ep_agents_validate_step(void *context) {
  (void)context;
  ep_board_work(EP_WORK_VALIDATE_BLOCK);
}

static void ep_agents_fuel_step(void *context) {
  (void)context;
  ep_board_work(EP_WORK_FUEL_SLICE);
}

/* The bank that no scan uses. */
__attribute__((noinline)) static ep_bank_t *ep_agents_candidate(ep_agents_t *agents) {
  return agents->active == &agents->bank[0] ? &agents->bank[1] : &agents->bank[0];
}

/* Frees whatever bank isn't active, which nobody uses any more then. */
static void ep_agents_free_other(ep_agents_t *agents) {
  uint32_t state = ep_board_scan_mask();
  ep_shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_STOPPED, edgeplug_Reason_REASON_NONE);
  ep_board_scan_unmask(state);
  for (uint32_t index = 0; index < 2u; index++) {
    if (agents->active != &agents->bank[index]) agents->bank[index].loaded = false;
  }
}

/* Copies the payload out of flash and compares its CRC-32. */
static int ep_agents_copy(ep_bank_t *bank, uint32_t slot) {
  const edgeplug_Manifest *manifest = &bank->manifest;
  uint32_t address = ep_board_map()->slot_address[slot], crc = 0;
  if (manifest->payload_size == 0u || manifest->payload_size > sizeof bank->code) return EP_ERR_MANIFEST;
  for (uint32_t offset = 0; offset < manifest->payload_size; offset += EP_COPY_BLOCK) {
    uint32_t size = manifest->payload_size - offset;
    int error;
    if (size > EP_COPY_BLOCK) size = EP_COPY_BLOCK;
    error = ep_board_flash_read(address + offset, bank->code + offset, size);
    if (error != EP_OK) return error;
    ep_board_work(EP_WORK_COPY_BLOCK);
    crc = ep_crc32(crc, bank->code + offset, size);
    ep_board_work(EP_WORK_CRC_BLOCK);
  }
  return crc == manifest->payload_crc32 || EP_DEFECT(PAYLOAD_NOT_CHECKED_AT_BOOT) ? EP_OK
                                                                                  : EP_ERR_PAYLOAD_CRC;
}

/* Whether the copy has the digest that was signed. */
static int ep_agents_check(const ep_bank_t *bank) {
  const edgeplug_Manifest *manifest = &bank->manifest;
  uint8_t digest[EP_SHA512_SIZE];
  ep_sha512_t hash;
  if (EP_DEFECT(PAYLOAD_NOT_CHECKED_AT_BOOT)) return EP_OK;
  ep_sha512_init(&hash);
  for (uint32_t offset = 0; offset < manifest->payload_size; offset += EP_SHA512_BLOCK) {
    uint32_t size = manifest->payload_size - offset;
    ep_sha512_update(&hash, bank->code + offset, size < EP_SHA512_BLOCK ? size : EP_SHA512_BLOCK);
    ep_board_work(EP_WORK_SHA512_BLOCK);
  }
  ep_sha512_final(&hash, digest);
  return memcmp(digest, manifest->payload_sha512, sizeof digest) == 0 ? EP_OK : EP_ERR_PAYLOAD_DIGEST;
}

static int ep_agents_fail(ep_bank_t *bank, ep_wasm_result_t result, const ep_wasm_error_t *error) {
  if (result != EP_WASM_OK) ep_agents_explain(bank, result, error);
  return ep_agents_error(result);
}

/* Calls an optional export without arguments; its result, if it has one, comes back in `value`. */
static int ep_agents_call_optional(ep_bank_t *bank, const char *name, const char *type, uint64_t *value) {
  int32_t function = ep_wasm_find_export(&bank->instance, name, type);
  if (function < 0) return EP_OK;
  return ep_agents_error(
      ep_agents_invoke(bank, function, value, (uint32_t)ep_wasm_fuel(&bank->instance), true));
}

/* Finds where the agent passes bytes; its size is the manifest's, and must lie inside the memory. */
static int ep_agents_find_io(ep_bank_t *bank) {
  uint64_t address = 0;
  int error;
  bank->io_size = 0;
  if (bank->manifest.limits.io_buffer_bytes == 0u) return EP_OK;
  if (ep_wasm_find_export(&bank->instance, "io_buffer", "()i") < 0) return EP_ERR_MODULE_EXPORT;
  error = ep_agents_call_optional(bank, "io_buffer", "()i", &address);
  if (error != EP_OK) return error;
  bank->io_buffer = (uint32_t)address;
  bank->io_size = bank->manifest.limits.io_buffer_bytes;
  return ep_wasm_memory(&bank->instance, bank->io_buffer, bank->io_size) != NULL ? EP_OK
                                                                                 : EP_ERR_MODULE_LIMIT;
}

static int ep_agents_find_exports(ep_bank_t *bank) {
  bool control = bank->manifest.kind == edgeplug_AgentKind_AGENT_KIND_CONTROL;
  bank->scan = ep_wasm_find_export(&bank->instance, "scan", "()");
  bank->handle = ep_wasm_find_export(&bank->instance, "handle", "(i)i");
  bank->save = ep_wasm_find_export(&bank->instance, "save", "()i");
  bank->restore = ep_wasm_find_export(&bank->instance, "restore", "(i)");
  if (control ? bank->scan < 0 : bank->handle < 0) {
    memcpy(bank->message, control ? "scan" : "handle", control ? sizeof "scan" : sizeof "handle");
    return EP_ERR_MODULE_EXPORT;
  }
  return EP_OK;
}

int ep_agents_instantiate(ep_bank_t *bank) {
  const edgeplug_Limits *limits = &bank->manifest.limits;
  const ep_wasm_limits_t allowed = {limits->memory_bytes, limits->stack_slots, limits->call_depth};
  ep_channels_t channels;
  ep_wasm_error_t why;
  ep_wasm_result_t result;
  uint64_t none = 0;
  int error;
  memset(&channels, 0, sizeof channels);
  memset(&why, 0, sizeof why);
  bank->channels = &channels;
  result =
      ep_wasm_load(&bank->instance, bank->code, bank->manifest.payload_size, &allowed, &bank->host,
                   bank->arena, sizeof bank->arena - (EP_AGENTS_DEFECT(LEAK) ? ep_agents_leaked : 0u), &why);
  if (result != EP_WASM_OK) return ep_agents_fail(bank, result, &why);
  ep_wasm_set_sliced(&bank->instance, true);
  ep_wasm_set_fuel(&bank->instance, (int32_t)limits->init_fuel);
  result = ep_wasm_start(&bank->instance);
  error = ep_agents_fail(bank, result, ep_wasm_last_error(&bank->instance));
  if (error == EP_OK) error = ep_agents_find_exports(bank);
  if (error == EP_OK) error = ep_agents_call_optional(bank, "init", "()", &none);
  if (error == EP_OK) error = ep_agents_find_io(bank);
  bank->channels = NULL;
  return error;
}

static int ep_agents_load(ep_bank_t *bank, uint32_t slot, bool run_vectors) {
  int error = ep_agents_copy(bank, slot);
  if (error == EP_OK) error = ep_agents_check(bank);
  if (error == EP_OK) error = ep_agents_instantiate(bank);
  if (error != EP_OK || !run_vectors) return error;
  error = ep_vectors_run(bank);
  /* The vectors left their traces in memory, and the engine its own in the code: the agent that may run begins anew. What
   * the slot holds has been checked a moment ago; a fault of reading can't pass the CRC-32, nor the validator. */
  if (error == EP_OK) error = ep_agents_copy(bank, slot);
  return error != EP_OK ? error : ep_agents_instantiate(bank);
}

int ep_agent_prepare(ep_agents_t *agents, uint32_t slot, const edgeplug_Manifest *manifest,
                     uint32_t swap_number, bool run_vectors) {
  ep_bank_t *bank = ep_agents_candidate(agents);
  int error;
  ep_agents_free_other(agents);
  bank->slot = slot;
  bank->swap_number = swap_number;
  bank->manifest = *manifest;
  if (bank->manifest.trial.max_guard_hits == 0u) bank->manifest.trial.max_guard_hits = EP_DEFAULT_GUARD_HITS;
  bank->log = NULL;
  bank->message[0] = '\0';
  bank->host = (ep_wasm_host_t){ep_host_imports,
                                ep_host_import_count,
                                bank,
                                ep_agents_validate_step,
                                ep_agents_fuel_step,
                                NULL,
                                0,
                                false};
  error = ep_agents_load(bank, slot, run_vectors);
  bank->loaded = error == EP_OK;
  memcpy(agents->message, bank->message, sizeof agents->message);
  return error;
}

/* ---- switching -------------------------------------------------------------------------------- */

/* Asks the scan to take `bank` out of `asked`, and waits until it has. If it doesn't, nothing happens any more behind the
 * caller's back. */
static bool ep_agents_await(ep_bank_t **asked, ep_bank_t *bank) {
  uint64_t asked_us = ep_board_time_us();
  uint32_t state = ep_board_scan_mask();
  bool done;
  *asked = bank;
  ep_board_scan_unmask(state);
  do ep_board_idle();
  while (*asked != NULL && ep_board_time_us() - asked_us < EP_SWITCH_US);
  state = ep_board_scan_mask();
  done = *asked == NULL;
  *asked = NULL;
  ep_board_scan_unmask(state);
  return done;
}

int ep_agent_activate(ep_agents_t *agents, bool trial) {
  ep_bank_t *bank = ep_agents_candidate(agents);
  if (!bank->loaded) return EP_ERR_NO_AGENT;
  bank->channels = &agents->image;
  bank->log = agents->events;
  agents->pending_trial = trial;
  return ep_agents_await(&agents->pending, bank) ? agents->pending_result : EP_ERR_HANDOVER;
}

void ep_agent_trial(const ep_agents_t *agents, ep_agent_trial_t *trial) {
  uint32_t state = ep_board_scan_mask();
  *trial = agents->trial;
  trial->requests = agents->counters.requests - agents->trial_first_request;
  ep_board_scan_unmask(state);
}

void ep_agent_commit(ep_agents_t *agents) {
  uint32_t state = ep_board_scan_mask();
  agents->in_trial = false;
  agents->fallback = NULL;
  ep_board_scan_unmask(state);
  if (EP_AGENTS_DEFECT(LEAK)) ep_agents_leaked++;
  if (EP_AGENTS_DEFECT(STACK)) (void)ep_agents_descend(agents->counters.swaps);
  ep_agents_free_other(agents);
}

void ep_agent_revert(ep_agents_t *agents) {
  uint32_t state = ep_board_scan_mask();
  agents->pending = NULL;
  if (agents->in_trial) {
    agents->in_trial = false;
    agents->active = agents->fallback;
    agents->fallback = NULL;
    memcpy(agents->image.wanted, agents->outputs, sizeof agents->image.wanted);
    agents->counters.rollbacks++;
  }
  ep_board_scan_unmask(state);
  ep_agents_free_other(agents);
}

void ep_agent_stop(ep_agents_t *agents) {
  uint32_t state = ep_board_scan_mask();
  agents->pending = NULL;
  agents->in_trial = false;
  agents->active = NULL;
  agents->fallback = NULL;
  ep_board_scan_unmask(state);
  ep_agents_free_other(agents);
}

/* ---- shadow ----------------------------------------------------------------------------------- */

int ep_agent_shadow(ep_agents_t *agents, const edgeplug_Shadow *wanted) {
  ep_bank_t *bank = ep_agents_candidate(agents);
  ep_shadow_t *shadow = &agents->shadow;
  if (!bank->loaded || agents->active == NULL || agents->active->manifest.kind != bank->manifest.kind) {
    return EP_ERR_NO_SHADOW_PARTNER;
  }
  memset(shadow, 0, sizeof *shadow);
  for (uint32_t channel = 0; channel < EP_BOARD_MAX_OUTPUTS; channel++) {
    uint32_t given = channel < wanted->tolerance_count ? channel : wanted->tolerance_count - 1u;
    if (wanted->tolerance_count > 0u) shadow->tolerance[channel] = wanted->tolerance[given];
  }
  shadow->report.state = edgeplug_ShadowState_SHADOW_STATE_RUNNING;
  shadow->report.swap_number = bank->swap_number;
  shadow->report.needed = wanted->scans;
  shadow->report.allowed = wanted->allowed;
  bank->guard_hits = 0;
  bank->channels = &shadow->image;
  bank->log = NULL;
  if (bank->manifest.kind == edgeplug_AgentKind_AGENT_KIND_CONTROL) {
    shadow->report.channels_count = (pb_size_t)ep_board_map()->outputs;
    if (!ep_agents_await(&shadow->starting, bank)) {
      shadow->report.state = edgeplug_ShadowState_SHADOW_STATE_STOPPED;
      return EP_ERR_FUEL;
    }
  } else {
    do ep_shadow_begin(agents, bank, UINT32_MAX, true);
    while (shadow->bank == NULL && shadow->report.state == edgeplug_ShadowState_SHADOW_STATE_RUNNING);
  }
  return shadow->report.reason == edgeplug_Reason_REASON_HANDOVER ? EP_ERR_HANDOVER : EP_OK;
}

const edgeplug_ShadowReport *ep_agent_shadow_report(const ep_agents_t *agents) {
  return &agents->shadow.report;
}

/* ---- requests --------------------------------------------------------------------------------- */

int ep_agents_handle(ep_bank_t *bank, const uint8_t *data, uint8_t *reply, uint32_t *size) {
  uint8_t *buffer = ep_wasm_memory(&bank->instance, bank->io_buffer, bank->io_size);
  uint64_t value = *size;
  ep_wasm_result_t result;
  if (*size > bank->io_size || buffer == NULL) return EP_ERR_REQUEST_SIZE;
  memcpy(buffer, data, *size);
  result = ep_agents_invoke(bank, bank->handle, &value, bank->manifest.limits.fuel, true);
  if (result != EP_WASM_OK) return ep_agents_error(result);
  if ((uint32_t)value > bank->io_size) return EP_ERR_REPLY;
  *size = (uint32_t)value;
  memcpy(reply, buffer, *size);
  return EP_OK;
}

/* A candidate that fails on a request in its trial goes, unless the scan has sent it off already. */
static bool ep_agents_fail_request(ep_agents_t *agents, const ep_bank_t *bank, int error) {
  bool fell_back = false;
  uint32_t state = ep_board_scan_mask();
  agents->counters.traps++;
  memcpy(agents->message, bank->message, sizeof agents->message);
  if (agents->in_trial && agents->active == bank) {
    ep_agents_fail_trial(agents, error == EP_ERR_AGENT_FUEL ? edgeplug_Reason_REASON_FUEL
                                                            : edgeplug_Reason_REASON_TRAP);
  }
  fell_back = agents->active != bank;
  ep_board_scan_unmask(state);
  return fell_back;
}

int ep_agents_call(ep_agents_t *agents, uint8_t *data, uint32_t *size, uint32_t *swap_number) {
  ep_shadow_t *shadow = &agents->shadow;
  int error;
  if (shadow->bank != NULL) {
    shadow->request_size = *size;
    memcpy(shadow->request, data, *size);
  }
  for (;;) {
    ep_bank_t *bank = agents->active;
    if (bank == NULL) return EP_ERR_NO_AGENT;
    if (bank->manifest.kind != edgeplug_AgentKind_AGENT_KIND_REQUEST) return EP_ERR_NO_HANDLER;
    error = ep_agents_handle(bank, data, data, size);
    *swap_number = bank->swap_number;
    if (error == EP_OK || error == EP_ERR_REQUEST_SIZE) break;
    /* The request isn't lost: the agent that comes back serves it. At most once, as it is in no trial. */
    if (!ep_agents_fail_request(agents, bank, error)) break;
  }
  if (error != EP_OK) return error;
  agents->counters.requests++;
  if (shadow->bank != NULL) {
    shadow->reply_size = *size;
    memcpy(shadow->reply, data, *size);
    shadow->waits = true;
  }
  return EP_OK;
}
