#include "world.h"

#include <string.h>

#include <pb_decode.h>
#include <pb_encode.h>

#include "crypto/crc32.h"
#include "crypto/sha512.h"
#include "errors.h"

static world_t *world_now;

/* ---- board ---------------------------------------------------------------------------------- */

uint64_t ep_board_time_us(void) {
  return world_now->time_us;
}

void ep_board_work(ep_work_t unit) {
  (void)unit;
}

void ep_board_id(uint8_t id[EP_BOARD_ID_SIZE]) {
  for (uint32_t at = 0; at < EP_BOARD_ID_SIZE; at++) id[at] = (uint8_t)(world_now->board + at);
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return world_now->cause;
}

uint32_t ep_board_scan_mask(void) {
  return 0;
}

void ep_board_scan_unmask(uint32_t state) {
  (void)state;
}

world_t *world_use(world_t *world) {
  world_t *before = world_now;
  world_now = world;
  flash_use(&world->flash);
  return before;
}

/* ---- agents --------------------------------------------------------------------------------- */

static void shadow_end(ep_agents_t *agents, edgeplug_ShadowState state, edgeplug_Reason reason) {
  if (agents->shadow.state != edgeplug_ShadowState_SHADOW_STATE_RUNNING) return;
  agents->shadow.state = state;
  agents->shadow.reason = reason;
}

static void shadow_stop(ep_agents_t *agents) {
  shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_STOPPED, edgeplug_Reason_REASON_NONE);
}

int ep_agent_shadow(ep_agents_t *agents, const edgeplug_Shadow *wanted) {
  if (!agents->active.loaded) return EP_ERR_NO_SHADOW_PARTNER;
  memset(&agents->shadow, 0, sizeof agents->shadow);
  agents->shadow.state = edgeplug_ShadowState_SHADOW_STATE_RUNNING;
  agents->shadow.needed = wanted->scans;
  agents->shadow.allowed = wanted->allowed;
  if (agents->candidate.nature != AGENT_HANDOVER) return EP_OK;
  shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_REJECTED, edgeplug_Reason_REASON_HANDOVER);
  return EP_ERR_HANDOVER;
}

const edgeplug_ShadowReport *ep_agent_shadow_report(const ep_agents_t *agents) {
  return &agents->shadow;
}

static void shadow_scan(ep_agents_t *agents) {
  edgeplug_ShadowReport *shadow = &agents->shadow;
  if (shadow->state != edgeplug_ShadowState_SHADOW_STATE_RUNNING) return;
  if (++shadow->compared == 3u) {
    if (agents->candidate.nature == AGENT_TRAPS) {
      shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_REJECTED, edgeplug_Reason_REASON_TRAP);
    }
    if (agents->candidate.nature == AGENT_STRANGE) shadow->differing++;
  }
  if (shadow->compared < shadow->needed) return;
  if (shadow->differing > shadow->allowed) {
    shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_REJECTED, edgeplug_Reason_REASON_SHADOW);
  }
  shadow_end(agents, edgeplug_ShadowState_SHADOW_STATE_AGREED, edgeplug_Reason_REASON_NONE);
}

int ep_agent_prepare(ep_agents_t *agents, uint32_t slot, const edgeplug_Manifest *manifest,
                     uint32_t swap_number, bool run_vectors) {
  uint8_t payload[13824], digest[64];
  ep_sha512_t hash;
  int error;
  shadow_stop(agents);
  memset(&agents->candidate, 0, sizeof agents->candidate);
  error = ep_board_flash_read(ep_board_map()->slot_address[slot], payload, manifest->payload_size);
  if (error != EP_OK) return error;
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, payload, manifest->payload_size);
  ep_sha512_final(&hash, digest);
  if (memcmp(digest, manifest->payload_sha512, sizeof digest) != 0) return EP_ERR_PAYLOAD_DIGEST;
  if (payload[0] == AGENT_INVALID) return EP_ERR_MODULE_INVALID;
  if (payload[0] == AGENT_VECTORS && run_vectors) return EP_ERR_VECTOR;
  agents->candidate = (bank_t){true, slot, swap_number, manifest->release, payload[0]};
  return EP_OK;
}

int ep_agent_activate(ep_agents_t *agents, bool trial) {
  if (trial && agents->active.loaded && agents->candidate.nature == AGENT_HANDOVER) return EP_ERR_HANDOVER;
  agents->fallback = agents->active;
  agents->active = agents->candidate;
  agents->in_trial = trial;
  memset(&agents->candidate, 0, sizeof agents->candidate);
  memset(&agents->trial, 0, sizeof agents->trial);
  return EP_OK;
}

void ep_agent_trial(const ep_agents_t *agents, ep_agent_trial_t *trial) {
  *trial = agents->trial;
}

void ep_agent_commit(ep_agents_t *agents) {
  shadow_stop(agents);
  agents->in_trial = false;
  memset(&agents->fallback, 0, sizeof agents->fallback);
}

void ep_agent_revert(ep_agents_t *agents) {
  shadow_stop(agents);
  if (agents->in_trial) {
    agents->active = agents->fallback;
    memset(&agents->fallback, 0, sizeof agents->fallback);
  }
  agents->in_trial = false;
  memset(&agents->candidate, 0, sizeof agents->candidate);
}

void ep_agent_stop(ep_agents_t *agents) {
  shadow_stop(agents);
  memset(&agents->active, 0, sizeof agents->active);
  memset(&agents->fallback, 0, sizeof agents->fallback);
  memset(&agents->candidate, 0, sizeof agents->candidate);
  agents->in_trial = false;
}

static void agents_scan(ep_agents_t *agents) {
  if (!agents->active.loaded) return;
  shadow_scan(agents);
  if (agents->active.nature == AGENT_TRAPS && agents->in_trial && agents->trial.elapsed_scans >= 2u) {
    agents->trial.failed = true;
    agents->trial.reason = edgeplug_Reason_REASON_TRAP;
    agents->in_trial = false;
    agents->active = agents->fallback;
    memset(&agents->fallback, 0, sizeof agents->fallback);
    return;
  }
  if (agents->active.nature == AGENT_KILLS && agents->trial.elapsed_scans >= 2u) agents->killed = true;
  agents->trial.healthy_scans++;
  agents->trial.elapsed_scans++;
}

/* ---- world ---------------------------------------------------------------------------------- */

static void world_event(void *context, edgeplug_EventKind kind, uint32_t swap_number,
                        edgeplug_UpdatePhase phase, edgeplug_Reason reason, int error, uint32_t detail) {
  world_t *world = context;
  (void)swap_number;
  (void)phase;
  (void)reason;
  (void)detail;
  world->events++;
  if (kind == edgeplug_EventKind_EVENT_KIND_STAGING_FAILED) world->last_failure = error;
}

void world_init(world_t *world, flash_geometry_t geometry, uint32_t seed) {
  memset(world, 0, sizeof *world);
  flash_init(&world->flash, geometry, seed);
}

void world_copy(world_t *copy, const world_t *world) {
  *copy = *world;
  copy->engine.agents = &copy->agents;
  copy->engine.event_context = copy;
  world_use(copy);
}

void world_boot(world_t *world, ep_reset_cause_t cause) {
  world_use(world);
  world->cause = cause;
  world->time_us = 0;
  memset(&world->agents, 0, sizeof world->agents);
  ep_hotswap_boot(&world->engine, &world->agents, world_event, world);
}

void world_run(world_t *world, uint32_t scans) {
  world_use(world);
  for (uint32_t scan = 0; scan < scans; scan++) {
    agents_scan(&world->agents);
    world->time_us += 1000u;
    if (world->agents.killed) {
      world_boot(world, EP_RESET_WATCHDOG);
    } else {
      ep_hotswap_poll(&world->engine);
    }
  }
}

void world_settle(world_t *world) {
  edgeplug_UpdatePhase phase;
  for (uint32_t turn = 0; turn < 200u; turn++) {
    phase = (edgeplug_UpdatePhase)world->engine.phase;
    if (phase == edgeplug_UpdatePhase_UPDATE_PHASE_IDLE || phase == edgeplug_UpdatePhase_UPDATE_PHASE_STAGED)
      return;
    world_run(world, 1);
  }
}

void package_make(package_t *package, uint32_t id, uint8_t nature, uint32_t size, manifest_edit_fn edit) {
  edgeplug_Manifest manifest = edgeplug_Manifest_init_zero;
  pb_ostream_t stream =
      pb_ostream_from_buffer(package->begin.manifest.bytes, sizeof package->begin.manifest.bytes);
  uint32_t seed = id * 2654435761u + 1u;
  ep_sha512_t hash;
  memset(&package->begin, 0, sizeof package->begin);
  for (uint32_t i = 0; i < size; i++) package->payload[i] = (uint8_t)(flash_random(&seed) >> 5);
  package->payload[0] = nature;
  package->size = size;
  package->id = id;
  manifest.format = 1;
  strcpy(manifest.name, "agent");
  strcpy(manifest.version, "1.0");
  manifest.kind = edgeplug_AgentKind_AGENT_KIND_CONTROL;
  manifest.abi = 1;
  manifest.release = id;
  manifest.payload_size = size;
  manifest.payload_crc32 = ep_crc32(0, package->payload, size);
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, package->payload, size);
  ep_sha512_final(&hash, manifest.payload_sha512);
  manifest.has_limits = true;
  manifest.limits = (edgeplug_Limits){1024, 64, 8, 1000, 1000, 0};
  manifest.has_trial = true;
  manifest.trial.healthy_scans = 5;
  manifest.trial.deadline_scans = 20;
  if (edit != NULL) edit(&manifest);
  if (!pb_encode(&stream, edgeplug_Manifest_fields, &manifest)) return;
  package->begin.manifest.size = (pb_size_t)stream.bytes_written;
}

int world_send(world_t *world, const package_t *package, uint32_t offset, uint32_t end, uint32_t chunk) {
  while (offset < end) {
    uint32_t size = end - offset < chunk ? end - offset : chunk;
    int error = ep_hotswap_chunk(&world->engine, offset, package->payload + offset, size, &offset);
    if (error != EP_OK) return error;
  }
  return EP_OK;
}

int world_stage(world_t *world, const package_t *package) {
  edgeplug_BeginReply reply = edgeplug_BeginReply_init_zero;
  int error;
  world_use(world);
  error = ep_hotswap_begin(&world->engine, &package->begin, &reply);
  if (error == EP_OK) error = world_send(world, package, reply.offset, package->size, 512);
  if (error != EP_OK) return error;
  world_settle(world);
  return world->engine.phase == edgeplug_UpdatePhase_UPDATE_PHASE_STAGED ? EP_OK : world->engine.last_error;
}

int world_push(world_t *world, const package_t *package) {
  int error = world_stage(world, package);
  return error != EP_OK ? error : ep_engine_activate(&world->engine);
}

int world_update(world_t *world, const package_t *package) {
  int error = world_push(world, package);
  if (error != EP_OK) return error;
  world_settle(world);
  return world->engine.last_error;
}

int world_clear_spent(world_t *world, const uint8_t *digest, uint32_t size) {
  edgeplug_ClearSpent clear = edgeplug_ClearSpent_init_zero;
  clear.digest.size = (pb_size_t)size;
  if (size != 0u) memcpy(clear.digest.bytes, digest, size);
  return ep_engine_clear_spent(&world->engine, &clear);
}

uint32_t world_running(const world_t *world) {
  return world->agents.active.loaded ? world->agents.active.id : 0u;
}

edgeplug_SlotState world_slot_state(world_t *world, uint32_t slot) {
  edgeplug_SlotInfo info;
  world_use(world);
  (void)ep_hotswap_slot_info(&world->engine, slot, &info);
  return info.state;
}

edgeplug_Reason world_slot_reason(world_t *world, uint32_t slot) {
  edgeplug_SlotInfo info;
  world_use(world);
  (void)ep_hotswap_slot_info(&world->engine, slot, &info);
  return info.reason;
}
