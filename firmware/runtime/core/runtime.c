#include "core/runtime.h"

#include <string.h>

#include "core/limits.h"
#include "core/shadow.h"

ep_runtime_t ep_runtime;

static void ep_runtime_event(void *context, edgeplug_EventKind kind, uint32_t swap_number,
                             edgeplug_UpdatePhase phase, edgeplug_Reason reason, int error, uint32_t detail) {
  ep_runtime_t *runtime = context;
  edgeplug_Event *event;
  /* The scan itself tells of each switch, and of a candidate that it sent off: it knows in which scan that was. */
  if (kind == edgeplug_EventKind_EVENT_KIND_ACTIVATED) return;
  if (kind == edgeplug_EventKind_EVENT_KIND_ROLLED_BACK && runtime->agents.rollback_told) {
    runtime->agents.rollback_told = false;
    return;
  }
  event = ep_events_put(&runtime->events, kind, runtime->clock.ticks_elapsed, swap_number);
  event->phase = phase;
  event->reason = reason;
  event->error = (uint32_t)-error;
  event->detail = detail;
  if (error != 0) memcpy(event->text, runtime->agents.message, sizeof runtime->agents.message);
}

static void ep_runtime_hello(void *context, edgeplug_HelloReply *reply) {
  const ep_board_map_t *map = ep_board_map();
  (void)context;
  ep_board_id(reply->board_id);
  memcpy(reply->runtime_version, EP_RUNTIME_VERSION, sizeof EP_RUNTIME_VERSION);
  reply->board_class = map->board_class;
  reply->abi = EP_ABI;
  reply->page_size = map->erase_size;
  reply->slot_payload = EP_RECORD_PAYLOAD_MAX;
  reply->inputs = map->inputs;
  reply->outputs = map->outputs;
  reply->max_memory = EP_MAX_MEMORY;
  reply->nanos_per_fuel = map->nanos_per_fuel;
  reply->tick_us = map->tick_us;
}

static void ep_runtime_status(void *context, edgeplug_Status *status) {
  const ep_runtime_t *runtime = context;
  const ep_agent_counters_t *counted = &runtime->agents.counters;
  uint32_t state = ep_board_scan_mask();
  status->scan = runtime->clock.ticks_elapsed;
  status->counters.ticks_elapsed = runtime->clock.ticks_elapsed;
  status->counters.scans_run = runtime->clock.scans_run;
  status->counters.scans_missed = runtime->clock.ticks_elapsed - runtime->clock.scans_run;
  memcpy(status->last_message, runtime->agents.message, sizeof runtime->agents.message);
  ep_board_scan_unmask(state);
  status->counters.traps = counted->traps;
  status->counters.guard_hits = counted->guard_hits;
  status->counters.swaps = counted->swaps;
  status->counters.rollbacks = counted->rollbacks;
  status->counters.requests_served = counted->requests;
  status->counters.stack_high_water = ep_board_stack_high_water();
}

static int ep_runtime_call(void *context, uint8_t *data, uint32_t *size, uint32_t *swap_number) {
  ep_runtime_t *runtime = context;
  return ep_agents_call(&runtime->agents, data, size, swap_number);
}

static const ep_server_host_t ep_runtime_server_host = {&ep_runtime, ep_runtime_hello, ep_runtime_status,
                                                        ep_runtime_call};

void ep_runtime_start(void) {
  ep_runtime_t *runtime = &ep_runtime;
  memset(runtime, 0, sizeof *runtime);
  ep_events_init(&runtime->events);
  ep_agents_init(&runtime->agents, &runtime->events);
  ep_scan_clock_init(&runtime->clock);
  ep_server_init(&runtime->server, &ep_runtime_server_host, &runtime->hotswap, &runtime->events);
  /* Scans first: outputs are at their fail-safe values while the slots are being checked. */
  ep_board_watchdog_start();
  ep_board_scan_start();
  ep_hotswap_boot(&runtime->hotswap, &runtime->agents, ep_runtime_event, runtime);
}

void ep_runtime_poll(void) {
  bool busy;
  ep_board_work(EP_WORK_LOOP);
  busy = ep_server_poll(&ep_runtime.server);
  /* Whoever asked has the reply on its way before anybody else is asked the same, and that before the next is served. */
  if (ep_server_sent(&ep_runtime.server)) ep_shadow_poll(&ep_runtime.agents);
  ep_hotswap_poll(&ep_runtime.hotswap);
  if (!busy) ep_board_idle();
}

void ep_runtime_alive(void) {
  ep_runtime.loop_alive = true;
}

void ep_runtime_scan(void) {
  ep_scan_run(&ep_runtime.agents, &ep_runtime.clock);
  if (ep_runtime.loop_alive) {
    ep_runtime.loop_alive = false;
    ep_board_watchdog_kick();
  }
}
