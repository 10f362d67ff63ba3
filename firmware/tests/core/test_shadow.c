/* What a shadow run compares, when it ends and why, scan by scan. The agents are stand-ins: this file takes the place of the
 * engine's calls, so that a test says what an agent wants in each scan and sees what fuel it was given.
 */
#include <math.h>

#include "check.h"
#include "core/scan.h"
#include "core/shadow.h"
#include "errors.h"

#define OUTPUTS 4u
#define SCAN    0
#define HANDLE  1
#define SAVE    2
#define RESTORE 3

/* One stand-in. */
typedef struct {
  float value[OUTPUTS];
  float step;        /* added to all values after each scan */
  bool mute;         /* its scans write no output */
  uint32_t state;    /* counts scans; handed over */
  uint32_t calls[4]; /* by function */
  ep_wasm_result_t fails[4];
  int32_t uses[4]; /* fuel */
  int32_t fuel;    /* left */
  uint8_t memory[64];
  uint64_t globals[2];
  uint8_t reply[4]; /* from byte 1 on; the first one is the request's */
  uint32_t reply_size;
  ep_channels_t seen; /* in the last scan */
} stand_in_t;

static ep_agents_t agents;
static ep_scan_clock_t scan_clock;
static ep_event_queue_t events;
static stand_in_t active, candidate;
static edgeplug_Shadow wanted;
static uint64_t time_us;
static int32_t spent; /* fuel, in this scan */
static float applied[OUTPUTS];
static bool no_scan_comes;

/* ---- the board -------------------------------------------------------------------------------- */

static const ep_board_map_t map = {.tick_us = 1000,
                                   .nanos_per_fuel = 100,
                                   .inputs = 2,
                                   .outputs = OUTPUTS,
                                   .fail_safe = {0.0f, 0.5f, -1.0f, 9.0f}};

const ep_board_map_t *ep_board_map(void) {
  return &map;
}

uint64_t ep_board_time_us(void) {
  return time_us;
}

uint32_t ep_board_scan_mask(void) {
  return 0;
}

void ep_board_scan_unmask(uint32_t state) {
  (void)state;
}

void ep_board_work(ep_work_t unit) {
  (void)unit;
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  (void)address;
  (void)buffer;
  (void)size;
  return EP_ERR_FLASH;
}

void ep_board_inputs_read(float *inputs, uint32_t count) {
  for (uint32_t channel = 0; channel < count; channel++) inputs[channel] = (float)agents.image.scan;
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  (void)scan;
  (void)swap_number;
  memcpy(applied, outputs, count * sizeof *outputs);
}

static void scans(uint32_t count) {
  while (count-- > 0u) {
    time_us += 1000u;
    spent = 0;
    ep_scan_run(&agents, &scan_clock);
    CHECK(spent <= (int32_t)(agents.bank[0].manifest.limits.fuel + agents.bank[1].manifest.limits.fuel));
  }
}

void ep_board_idle(void) {
  if (no_scan_comes) {
    time_us += 1000u;
  } else {
    scans(1);
  }
}

/* ---- the engine's calls ----------------------------------------------------------------------- */

static ep_bank_t *bank_of(const ep_wasm_instance_t *instance) {
  return instance == &agents.bank[0].instance ? &agents.bank[0] : &agents.bank[1];
}

static stand_in_t *stand_in_of(const ep_wasm_instance_t *instance) {
  return instance == &agents.bank[0].instance ? &active : &candidate;
}

void ep_wasm_set_fuel(ep_wasm_instance_t *instance, int32_t fuel) {
  stand_in_of(instance)->fuel = fuel;
}

int32_t ep_wasm_fuel(const ep_wasm_instance_t *instance) {
  return stand_in_of(instance)->fuel;
}

void ep_wasm_charge(ep_wasm_instance_t *instance, int32_t fuel) {
  stand_in_of(instance)->fuel -= fuel;
}

void ep_wasm_set_sliced(ep_wasm_instance_t *instance, bool sliced) {
  instance->sliced = sliced;
}

const ep_wasm_error_t *ep_wasm_last_error(const ep_wasm_instance_t *instance) {
  return &instance->error;
}

void *ep_wasm_context(const ep_wasm_instance_t *instance) {
  return bank_of(instance);
}

uint8_t *ep_wasm_memory(ep_wasm_instance_t *instance, uint32_t address, uint32_t size) {
  stand_in_t *agent = stand_in_of(instance);
  return address + size <= sizeof agent->memory ? agent->memory + address : NULL;
}

void *ep_wasm_globals(ep_wasm_instance_t *instance, uint32_t *size) {
  stand_in_t *agent = stand_in_of(instance);
  *size = sizeof agent->globals;
  return agent->globals;
}

void ep_wasm_function_arity(const ep_wasm_instance_t *instance, uint32_t index, uint32_t *params,
                            uint32_t *results) {
  (void)instance;
  (void)index;
  *params = *results = 0;
}

ep_wasm_result_t ep_wasm_start(ep_wasm_instance_t *instance) {
  (void)instance;
  return EP_WASM_OK;
}

static ep_wasm_result_t failed(ep_wasm_instance_t *instance, ep_wasm_result_t result) {
  ep_wasm_name_result(result, &instance->error);
  return result;
}

ep_wasm_result_t ep_wasm_invoke(ep_wasm_instance_t *instance, uint32_t function, uint64_t *values) {
  stand_in_t *agent = stand_in_of(instance);
  int32_t uses = agent->uses[function] < agent->fuel ? agent->uses[function] : agent->fuel;
  bool starved = agent->uses[function] > agent->fuel;
  agent->calls[function]++;
  agent->fuel -= uses;
  spent += uses;
  memset(&instance->error, 0, sizeof instance->error);
  instance->error.offset = 77;
  if (starved) return failed(instance, EP_WASM_TRAP_FUEL);
  if (agent->fails[function] != EP_WASM_OK) return failed(instance, agent->fails[function]);
  if (function == SCAN) {
    ep_channels_t *channels = bank_of(instance)->channels;
    agent->seen = *channels;
    for (uint32_t channel = 0; channel < OUTPUTS; channel++) {
      if (!agent->mute) channels->wanted[channel] = agent->value[channel];
      agent->value[channel] += agent->step;
    }
    agent->state++;
  }
  if (function == SAVE) {
    memcpy(agent->memory, &agent->state, sizeof agent->state);
    agent->globals[1]++;
    bank_of(instance)->channels->wanted[1] = 77.0f;
    if (bank_of(instance)->log != NULL)
      (void)ep_events_put(bank_of(instance)->log, edgeplug_EventKind_EVENT_KIND_LOG, 0, 0);
    values[0] = sizeof agent->state;
  }
  if (function == RESTORE) memcpy(&agent->state, agent->memory, sizeof agent->state);
  if (function == HANDLE) {
    memcpy(agent->memory + 1, agent->reply, sizeof agent->reply);
    values[0] = agent->reply_size;
  }
  return EP_WASM_OK;
}

/* ---- a board with two agents ------------------------------------------------------------------ */

static void load(ep_bank_t *bank, stand_in_t *agent, uint32_t swap_number) {
  memset(agent, 0, sizeof *agent);
  bank->loaded = true;
  bank->swap_number = swap_number;
  bank->manifest.kind = edgeplug_AgentKind_AGENT_KIND_CONTROL;
  bank->manifest.outputs = OUTPUTS;
  bank->manifest.limits.fuel = 1000;
  bank->manifest.trial.max_guard_hits = 100;
  bank->channels = &agents.image;
  bank->log = &events;
  bank->scan = SCAN;
  bank->handle = HANDLE;
  bank->save = SAVE;
  bank->restore = RESTORE;
  bank->io_size = 32;
  agent->uses[SCAN] = 400;
  agent->uses[SAVE] = agent->uses[RESTORE] = 10;
}

/* Both alike; the active one has run for ten scans. */
static void fresh(void) {
  time_us = 0;
  ep_events_init(&events);
  ep_agents_init(&agents, &events);
  ep_scan_clock_init(&scan_clock);
  load(&agents.bank[0], &active, 1);
  load(&agents.bank[1], &candidate, 2);
  agents.active = &agents.bank[0];
  scans(10);
  wanted = (edgeplug_Shadow){.scans = 100};
}

static const edgeplug_ShadowReport *report(void) {
  return ep_agent_shadow_report(&agents);
}

static void starts(void) {
  CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_OK);
  CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_RUNNING);
}

static void tolerate(float tolerance) {
  wanted.tolerance_count = 1;
  wanted.tolerance[0] = tolerance;
}

static void runs(uint32_t count) {
  wanted.scans = count;
  starts();
  scans(count);
}

static void agreed(void) {
  CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_AGREED);
  CHECK_EQ(report()->reason, edgeplug_Reason_REASON_NONE);
  CHECK_EQ(report()->compared, wanted.scans);
}

static void rejected(edgeplug_Reason reason) {
  CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_REJECTED);
  CHECK_EQ(report()->reason, reason);
  CHECK(agents.shadow.bank == NULL);
}

/* Events of traps in the queue. */
static uint32_t traps_told(void) {
  uint32_t count = 0;
  edgeplug_Event event;
  while (ep_events_take(&events, &event)) {
    if (event.kind != edgeplug_EventKind_EVENT_KIND_TRAP) continue;
    count++;
    CHECK_EQ(event.swap_number, 2);
    CHECK_EQ(event.detail, 77);
  }
  return count;
}

static void request_agents(void) {
  for (uint32_t index = 0; index < 2u; index++) {
    agents.bank[index].manifest.kind = edgeplug_AgentKind_AGENT_KIND_REQUEST;
  }
  active.reply_size = candidate.reply_size = 5;
}

static void request(uint8_t byte) {
  uint8_t data[EP_MAX_IO_BUFFER] = {byte};
  uint32_t size = 3, swap_number = 0;
  CHECK_EQ(ep_agents_call(&agents, data, &size, &swap_number), EP_OK);
  CHECK_EQ(swap_number, 1);
  CHECK_EQ(data[0], byte);
}

static void compares(void) {
  TEST("outputs agree up to the tolerance, and the next number beyond it differs") {
    fresh();
    active.value[1] = 1.0f;
    candidate.value[1] = 1.5f;
    tolerate(0.5f);
    runs(5);
    agreed();
    CHECK_EQ(report()->differing, 0);
    CHECK(report()->channels[1].largest == 0.5f);
    fresh();
    active.value[1] = 1.0f;
    candidate.value[1] = nextafterf(1.5f, 2.0f);
    tolerate(0.5f);
    runs(5);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->differing, 5);
    CHECK_EQ(report()->channels[1].differing, 5);
    CHECK_EQ(report()->channels[0].differing, 0);
  }

  TEST("the candidate may be off to either side") {
    for (float side = -1.0f; side < 2.0f; side += 2.0f) {
      fresh();
      candidate.value[0] = side * 2.0f;
      tolerate(1.999f);
      runs(1);
      rejected(edgeplug_Reason_REASON_SHADOW);
      CHECK(report()->channels[0].largest == 2.0f);
      CHECK(report()->first[0].candidate == side * 2.0f);
    }
  }

  TEST("without a tolerance outputs have to be equal, where 0 equals -0") {
    fresh();
    candidate.value[0] = -0.0f;
    runs(3);
    agreed();
    fresh();
    candidate.value[0] = 1e-45f;
    runs(3);
    rejected(edgeplug_Reason_REASON_SHADOW);
  }

  TEST("each output has its own tolerance, and the last one is for all that follow") {
    fresh();
    for (uint32_t channel = 0; channel < OUTPUTS; channel++) candidate.value[channel] = 1.0f;
    wanted.tolerance_count = 2;
    wanted.tolerance[0] = 0.0f;
    wanted.tolerance[1] = 1.0f;
    wanted.allowed = 3;
    runs(3);
    CHECK_EQ(report()->channels[0].differing, 3);
    for (uint32_t channel = 1; channel < OUTPUTS; channel++) {
      CHECK_EQ(report()->channels[channel].differing, 0);
      CHECK(report()->channels[channel].largest == 1.0f);
    }
    CHECK_EQ(report()->channels_count, OUTPUTS);
  }

  TEST("a NaN never gets past the guards: the candidate's last value is what is compared") {
    fresh();
    active.value[2] = 5.0f;
    scans(1);
    candidate.value[2] = NAN;
    runs(4);
    agreed(); /* its first value is the machine's */
    fresh();
    active.step = 1.0f;
    for (uint32_t channel = 0; channel < OUTPUTS; channel++) candidate.value[channel] = NAN;
    tolerate(2.5f);
    wanted.allowed = 1;
    runs(3);
    agreed();
    CHECK_EQ(report()->channels[2].differing, 1);
    CHECK(report()->channels[2].largest == 3.0f);
  }

  TEST("an output that is no number differs, whoever has it, and from any tolerance") {
    fresh();
    tolerate(INFINITY);
    starts();
    agents.shadow.outputs[3] = NAN;
    candidate.value[3] = NAN;
    scans(1);
    CHECK_EQ(report()->differing, 1);
    CHECK_EQ(report()->channels[3].differing, 1);
  }

  TEST("infinities agree with themselves, and with others only by an infinite tolerance") {
    fresh();
    active.value[0] = candidate.value[0] = INFINITY;
    runs(3);
    agreed();
    CHECK(report()->channels[0].largest == 0.0f);
    for (uint32_t endless = 0; endless < 2u; endless++) {
      fresh();
      candidate.value[0] = -INFINITY;
      tolerate(endless != 0u ? INFINITY : 3e38f);
      runs(3);
      CHECK_EQ(report()->differing, endless != 0u ? 0 : 3);
      CHECK(isinf(report()->channels[0].largest));
    }
  }

  TEST("a difference that no float holds is beyond every finite tolerance") {
    fresh();
    active.value[0] = 3e38f;
    candidate.value[0] = -3e38f;
    tolerate(3.4e38f);
    runs(2);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK(isinf(report()->channels[0].largest));
  }

  TEST("with another divider only scans are compared in which the candidate runs") {
    fresh();
    agents.bank[1].manifest.scan_divider = 3;
    active.step = 1.0f;
    candidate.step = 4.0f;
    scans(2); /* 12: the next ones that the candidate asks for are 15, 18, 21 */
    CHECK_EQ(agents.image.scan, 12);
    active.value[0] = active.value[1] = active.value[2] = active.value[3] = 12.0f;
    candidate.value[0] = candidate.value[1] = candidate.value[2] = candidate.value[3] = 14.0f;
    tolerate(1.5f);
    wanted.allowed = 100;
    wanted.scans = 3;
    starts();
    scans(9);
    agreed();
    CHECK_EQ(candidate.calls[SCAN], 3);
    /* 14 against 14, 18 against 17, 22 against 20 */
    CHECK_EQ(report()->channels[0].differing, 1);
    CHECK(report()->channels[0].largest == 2.0f);
  }

  TEST("a candidate whose scan has not come yet has agreed with nothing") {
    fresh();
    agents.bank[1].manifest.scan_divider = 1000;
    wanted.scans = 5;
    starts();
    scans(50);
    CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_RUNNING);
    CHECK_EQ(report()->compared, 0);
    CHECK_EQ(candidate.calls[SCAN], 0);
  }

  TEST("between two scans of the active agent the candidate is compared with what the machine has") {
    fresh();
    agents.bank[0].manifest.scan_divider = 2;
    candidate.step = 1.0f;
    scans(2);
    wanted.allowed = 100;
    runs(4);
    CHECK_EQ(report()->compared, 4);
    CHECK_EQ(report()->channels[0].differing, 3); /* 0, 1, 2, 3 against 0 */
  }

  TEST("outputs that a candidate does not name are at their fail-safe values, as they would be") {
    fresh();
    agents.bank[1].manifest.outputs = 2;
    active.value[2] = 4.0f;
    candidate.value[2] = 4.0f; /* says so, but has no such channel */
    wanted.allowed = 100;
    runs(2);
    CHECK_EQ(report()->channels[1].differing, 0);
    CHECK_EQ(report()->channels[2].differing, 2);
    CHECK(report()->first[0].active == 4.0f && report()->first[0].candidate == -1.0f);
    CHECK(report()->first[1].active == 0.0f && report()->first[1].candidate == 9.0f);
  }

  TEST("outputs that only the candidate names are compared with the fail-safe values that the machine has") {
    fresh();
    agents.bank[0].manifest.outputs = 1;
    for (uint32_t channel = 1; channel < OUTPUTS; channel++)
      candidate.value[channel] = map.fail_safe[channel];
    scans(1);
    runs(3);
    agreed();
    fresh();
    agents.bank[0].manifest.outputs = 1;
    scans(1);
    runs(3);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->channels[3].differing, 3);
  }

  TEST("a candidate's own guards are applied, from the outputs that the machine had when it began") {
    fresh();
    active.value[0] = 10.0f;
    scans(1);
    agents.bank[1].manifest.guards.slew_count = 1;
    agents.bank[1].manifest.guards.slew[0] = 2.0f;
    candidate.value[0] = 20.0f;
    wanted.allowed = 100;
    runs(6);
    CHECK(report()->first[0].candidate == 12.0f);
    CHECK(report()->first[1].candidate == 14.0f);
    CHECK(report()->channels[0].largest == 10.0f);
    CHECK(applied[0] == 10.0f);
  }
}

static void ends(void) {
  TEST("as many scans may differ as are allowed, however many outputs do in each") {
    fresh();
    candidate.value[0] = candidate.value[1] = 1.0f;
    wanted.allowed = 20;
    runs(20);
    agreed();
    CHECK_EQ(report()->differing, 20);
    fresh();
    candidate.value[0] = candidate.value[1] = 1.0f;
    wanted.allowed = 19;
    runs(20);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->compared, 20);
  }

  TEST("it ends early only once too many scans differ and the first differences are all there") {
    fresh();
    candidate.value[0] = 1.0f;
    runs(100);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->compared, 8);
    fresh();
    candidate.value[0] = candidate.value[3] = 1.0f;
    runs(100);
    CHECK_EQ(report()->compared, 4);
    fresh();
    candidate.value[0] = 1.0f;
    wanted.allowed = 20;
    runs(100);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->compared, 21);
    fresh();
    wanted.scans = 100;
    starts();
    candidate.value[0] = 1.0f;
    scans(1);
    candidate.value[0] = 0.0f;
    scans(98);
    CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_RUNNING);
    scans(1);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->compared, 100);
  }

  TEST("the first eight differences are kept, oldest first, with scan, number, output and both values") {
    uint64_t from;
    fresh();
    wanted.allowed = 100;
    wanted.scans = 12;
    starts();
    from = agents.image.scan;
    scans(2);
    candidate.value[1] = 3.0f;
    candidate.value[2] = 4.0f;
    candidate.value[3] = 5.0f;
    scans(10);
    agreed();
    CHECK_EQ(report()->first_count, 8);
    for (uint32_t at = 0; at < 8u; at++) {
      const edgeplug_ShadowDifference *one = &report()->first[at];
      CHECK_EQ(one->number, 3 + at / 3);
      CHECK_EQ(one->scan, from + one->number - 1u);
      CHECK_EQ(one->channel, 1 + at % 3);
      CHECK(one->active == 0.0f && one->candidate == 3.0f + (float)(at % 3));
      CHECK_EQ(one->active_reply.size + one->candidate_reply.size, 0);
    }
    CHECK_EQ(report()->channels[3].differing, 10);
  }

  TEST("so many guard hits as a trial forgives, and not one more; the board's own count knows nothing of "
       "them") {
    fresh();
    agents.bank[1].manifest.guards.max_count = 1;
    agents.bank[1].manifest.guards.max[0] = 0.0f;
    agents.bank[1].manifest.trial.max_guard_hits = 6;
    candidate.value[0] = 1.0f;
    runs(6);
    agreed();
    runs(6); /* counted anew */
    agreed();
    wanted.scans = 7;
    starts();
    scans(7);
    rejected(edgeplug_Reason_REASON_GUARD);
    CHECK_EQ(report()->compared, 6);
    CHECK_EQ(agents.counters.guard_hits, 0);
  }

  TEST("a trap ends it at once and is told once; the board's own count knows nothing of it") {
    fresh();
    starts();
    scans(3);
    candidate.fails[SCAN] = EP_WASM_TRAP_UNREACHABLE;
    scans(5);
    rejected(edgeplug_Reason_REASON_TRAP);
    CHECK_EQ(report()->compared, 3);
    CHECK_EQ(candidate.calls[SCAN], 4);
    CHECK_EQ(traps_told(), 1);
    CHECK_EQ(agents.counters.traps, 0);
    CHECK(strcmp(agents.message, "unreachable") == 0);
    CHECK(agents.active == &agents.bank[0]);
  }

  TEST("a candidate that runs out of fuel is rejected for that") {
    fresh();
    candidate.uses[SCAN] = 1001;
    starts();
    scans(1);
    rejected(edgeplug_Reason_REASON_FUEL);
    CHECK_EQ(traps_told(), 1);
  }

  TEST("a scan that is missed meanwhile rejects, before the candidate runs again") {
    fresh();
    starts();
    scans(2);
    time_us += 1000u;
    scans(1);
    rejected(edgeplug_Reason_REASON_DEADLINE);
    CHECK_EQ(report()->compared, 2);
    CHECK_EQ(candidate.calls[SCAN], 2);
  }

  TEST("a scan that was missed before it began is not the candidate's") {
    fresh();
    time_us += 1000u;
    runs(3);
    agreed();
  }

  TEST("a scan in which the active agent traps is not compared, but the candidate has it") {
    fresh();
    active.value[0] = 1.0f;
    candidate.value[0] = 1.0f;
    scans(1);
    wanted.scans = 5;
    starts();
    scans(2);
    active.fails[SCAN] = EP_WASM_TRAP_MEMORY;
    scans(1);
    CHECK_EQ(report()->compared, 3);             /* the scan before */
    active.value[0] = candidate.value[0] = 2.0f; /* the machine's hold at 1 */
    scans(2);
    active.fails[SCAN] = EP_WASM_OK;
    scans(1);
    CHECK_EQ(report()->compared, 3);
    CHECK_EQ(candidate.calls[SCAN], 6);
    scans(2);
    agreed();
    CHECK_EQ(agents.counters.traps, 3);
  }

  TEST("whatever touches the candidate's bank ends it first, and no scan uses the bank any more") {
    const edgeplug_Manifest manifest = {.payload_size = 100};
    for (uint32_t way = 0; way < 4u; way++) {
      fresh();
      starts();
      scans(2);
      switch (way) {
      case 0: CHECK_EQ(ep_agent_prepare(&agents, 1, &manifest, 3, false), EP_ERR_FLASH); break;
      case 1: ep_agent_revert(&agents); break;
      case 2: ep_agent_commit(&agents); break;
      default: ep_agent_stop(&agents); break;
      }
      CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_STOPPED);
      CHECK_EQ(report()->compared, 2);
      CHECK_EQ(report()->swap_number, 2);
      CHECK(!agents.bank[1].loaded);
      scans(3);
      CHECK_EQ(candidate.calls[SCAN], 2);
      CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_NO_SHADOW_PARTNER);
    }
  }

  TEST("a control agent is no partner for a request agent, and nobody is for one that is not loaded") {
    fresh();
    agents.bank[1].manifest.kind = edgeplug_AgentKind_AGENT_KIND_REQUEST;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_NO_SHADOW_PARTNER);
    fresh();
    agents.bank[1].loaded = false;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_NO_SHADOW_PARTNER);
    fresh();
    agents.active = NULL;
    agents.bank[0].loaded = true;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_NO_SHADOW_PARTNER);
    CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_NONE);
  }

  TEST("a candidate that has agreed is ready to run: its channels are the machine's, and it may log") {
    fresh();
    runs(3);
    agreed();
    CHECK_EQ(ep_agent_activate(&agents, true), EP_OK);
    CHECK(agents.active == &agents.bank[1]);
    CHECK(agents.bank[1].channels == &agents.image);
    CHECK(agents.bank[1].log == &events);
  }
}

static void hands_over(void) {
  TEST("the candidate begins with the state that the active agent had after the scan before") {
    fresh();
    agents.bank[0].manifest.state_id = agents.bank[1].manifest.state_id = 5;
    CHECK_EQ(active.state, 10);
    memset(active.memory, 0xAA, sizeof active.memory);
    starts();
    CHECK_EQ(active.state, 12);
    CHECK_EQ(candidate.state, 11);
    CHECK_EQ(candidate.calls[SCAN], 0);
    CHECK_EQ(active.memory[0], 0xAA); /* what saving overwrote is back */
    CHECK_EQ(active.globals[1], 0);
    scans(4);
    CHECK_EQ(candidate.state, active.state - 1u);
    CHECK_EQ(report()->compared, 4);
    CHECK_EQ(active.calls[SAVE], 1);
  }

  TEST("nothing is handed over between different state ids, or without one") {
    for (uint32_t id = 0; id < 2u; id++) {
      fresh();
      agents.bank[0].manifest.state_id = id;
      agents.bank[1].manifest.state_id = 2u * id;
      runs(3);
      agreed();
      CHECK_EQ(active.calls[SAVE] + candidate.calls[RESTORE], 0);
      CHECK_EQ(candidate.state, 3);
    }
  }

  TEST("a save or a restore that traps rejects before anything is compared") {
    for (uint32_t which = SAVE; which <= RESTORE; which++) {
      fresh();
      agents.bank[0].manifest.state_id = agents.bank[1].manifest.state_id = 5;
      (which == SAVE ? &active : &candidate)->fails[which] = EP_WASM_TRAP_MEMORY;
      CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_HANDOVER);
      rejected(edgeplug_Reason_REASON_HANDOVER);
      CHECK_EQ(report()->compared, 0);
      scans(2);
      CHECK_EQ(candidate.calls[SCAN], 0);
    }
  }

  TEST("what saving writes to an output or says goes nowhere, whether it is for a shadow run or for a swap "
       "that fails") {
    for (uint32_t swaps = 0; swaps < 2u; swaps++) {
      fresh();
      agents.bank[0].manifest.state_id = agents.bank[1].manifest.state_id = 5;
      active.mute = candidate.mute = true;
      agents.bank[0].manifest.outputs = OUTPUTS;
      if (swaps == 0u) {
        starts();
        CHECK_EQ(events.head, events.tail);
      } else {
        candidate.fails[RESTORE] = EP_WASM_TRAP_MEMORY;
        CHECK_EQ(ep_agent_activate(&agents, true), EP_ERR_HANDOVER);
      }
      CHECK_EQ(active.calls[SAVE], 1);
      scans(3);
      CHECK(applied[1] == 0.0f);
      CHECK(agents.bank[0].channels == &agents.image);
      CHECK(agents.bank[0].log == &events);
    }
  }

  TEST("a save that takes more than its agent may is a hand-over that fails, not one for which no scan has "
       "room") {
    fresh();
    agents.bank[0].manifest.state_id = agents.bank[1].manifest.state_id = 5;
    active.uses[SAVE] = 1001;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_HANDOVER);
    CHECK_EQ(active.calls[SAVE], 1);
    rejected(edgeplug_Reason_REASON_HANDOVER);
  }

  TEST("saving takes what the active agent's scan left of both agents' fuel, once that is enough") {
    fresh();
    agents.bank[0].manifest.state_id = agents.bank[1].manifest.state_id = 5;
    agents.bank[1].manifest.limits.fuel = 500;
    active.uses[SCAN] = 1000;
    active.uses[SAVE] = 501; /* scans() checks that no scan takes more than both are granted */
    candidate.uses[RESTORE] = candidate.uses[SCAN] = 500;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_FUEL);
    CHECK(active.calls[SAVE] > 90);
    CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_STOPPED);
    scans(3);
    CHECK_EQ(candidate.calls[SCAN], 0);
    active.uses[SAVE] = 500;
    runs(3);
    agreed();
    CHECK_EQ(candidate.state, active.state - 1u);
    candidate.uses[RESTORE] = 501;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_HANDOVER);
    rejected(edgeplug_Reason_REASON_HANDOVER);
  }

  TEST("without a scan nothing begins, not even behind the caller's back") {
    fresh();
    no_scan_comes = true;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_FUEL);
    no_scan_comes = false;
    CHECK_EQ(report()->state, edgeplug_ShadowState_SHADOW_STATE_STOPPED);
    scans(5);
    CHECK_EQ(candidate.calls[SCAN], 0);
    CHECK_EQ(report()->compared, 0);
  }
}

static void undisturbed(void) {
  TEST("nothing of the candidate reaches the active agent's channels, the machine or a counter") {
    static ep_agents_t alone;
    static stand_in_t active_alone;
    for (uint32_t shadow = 0; shadow < 2u; shadow++) {
      fresh();
      active.step = 0.25f;
      agents.bank[0].manifest.guards.max_count = 1;
      agents.bank[0].manifest.guards.max[0] = 5.0f;
      candidate.value[0] = 100.0f;
      agents.bank[1].manifest.guards.max_count = 1;
      agents.bank[1].manifest.guards.max[0] = 6.0f;
      agents.bank[1].manifest.trial.max_guard_hits = 1000;
      wanted.allowed = 1000;
      if (shadow != 0u) {
        starts();
      } else {
        scans(2);
      }
      scans(50);
      if (shadow == 0u) {
        alone = agents;
        active_alone = active;
      }
    }
    CHECK_BYTES(&agents.image, &alone.image, sizeof alone.image);
    CHECK_BYTES(agents.outputs, alone.outputs, sizeof alone.outputs);
    CHECK_BYTES(&agents.counters, &alone.counters, sizeof alone.counters);
    CHECK_BYTES(&agents.trial, &alone.trial, sizeof alone.trial);
    CHECK_BYTES(&agents.bank[0], &alone.bank[0], sizeof alone.bank[0]);
    CHECK_BYTES(&active, &active_alone, sizeof active);
    CHECK_EQ(report()->differing, 50);
    CHECK(agents.counters.guard_hits > 20);
  }

  TEST("both see the same inputs, time and scan number, the candidate one scan later") {
    fresh();
    starts();
    for (uint32_t scan = 0; scan < 3u; scan++) {
      ep_channels_t before = active.seen;
      scans(1);
      CHECK_BYTES(&candidate.seen, &before, offsetof(ep_channels_t, wanted));
      CHECK_EQ(before.scan, 12 + scan);
    }
  }
}

static void requests(void) {
  TEST("the candidate is asked once the active agent's reply is there, and its reply goes nowhere") {
    fresh();
    request_agents();
    wanted.scans = 2;
    starts();
    candidate.reply[1] = 9;
    request(1);
    CHECK_EQ(candidate.calls[HANDLE], 0);
    ep_shadow_poll(&agents);
    CHECK_EQ(candidate.calls[HANDLE], 1);
    ep_shadow_poll(&agents);
    CHECK_EQ(candidate.calls[HANDLE], 1);
    CHECK_EQ(report()->compared, 1);
    CHECK_EQ(report()->channels_count, 0);
    CHECK_EQ(report()->first[0].channel, 2);
    CHECK_EQ(report()->first[0].scan, agents.image.scan);
    CHECK_EQ(report()->first[0].active_reply.size, 3);
    CHECK_EQ(report()->first[0].candidate_reply.bytes[0], 9);
    CHECK_EQ(agents.counters.requests, 1);
    request(2);
    ep_shadow_poll(&agents);
    rejected(edgeplug_Reason_REASON_SHADOW);
  }

  TEST("a reply that is longer or shorter differs where the other one ends") {
    for (int way = -1; way < 2; way += 2) {
      fresh();
      request_agents();
      candidate.reply_size = (uint32_t)(5 + way);
      wanted.scans = 1;
      starts();
      request(1);
      ep_shadow_poll(&agents);
      rejected(edgeplug_Reason_REASON_SHADOW);
      CHECK_EQ(report()->first[0].channel, way < 0 ? 4 : 5);
      CHECK_EQ(report()->first[0].active_reply.size, way < 0 ? 1 : 0);
      CHECK_EQ(report()->first[0].candidate_reply.size, way < 0 ? 0 : 1);
    }
  }

  TEST("two empty replies agree, and an excerpt holds eight bytes") {
    fresh();
    request_agents();
    active.reply_size = candidate.reply_size = 0;
    wanted.scans = 1;
    starts();
    {
      uint8_t data[EP_MAX_IO_BUFFER] = {1};
      uint32_t size = 3, swap_number;
      CHECK_EQ(ep_agents_call(&agents, data, &size, &swap_number), EP_OK);
    }
    ep_shadow_poll(&agents);
    agreed();
    fresh();
    request_agents();
    active.reply_size = candidate.reply_size = 32;
    candidate.reply[0] = 9;
    wanted.scans = 1;
    starts();
    request(1);
    ep_shadow_poll(&agents);
    CHECK_EQ(report()->first[0].channel, 1);
    CHECK_EQ(report()->first[0].active_reply.size, 8);
    CHECK_EQ(report()->first[0].candidate_reply.size, 8);
  }

  TEST("no reply is not the same as an empty one: too long a reply is a failure, too small a buffer a "
       "difference") {
    fresh();
    request_agents();
    active.reply_size = 0;
    candidate.reply_size = 33; /* its buffer holds 32 */
    wanted.scans = 1;
    wanted.allowed = 1;
    starts();
    request(1);
    ep_shadow_poll(&agents);
    rejected(edgeplug_Reason_REASON_TRAP);
    CHECK_EQ(traps_told(), 0);
    fresh();
    request_agents();
    active.reply_size = candidate.reply_size = 0;
    agents.bank[1].io_size = 2; /* a request has three bytes */
    wanted.scans = 1;
    starts();
    request(1);
    ep_shadow_poll(&agents);
    rejected(edgeplug_Reason_REASON_SHADOW);
    CHECK_EQ(report()->differing, 1);
    CHECK_EQ(report()->first[0].active_reply.size + report()->first[0].candidate_reply.size, 0);
  }

  TEST("a run that a missed scan ended meanwhile asks the candidate nothing more") {
    fresh();
    request_agents();
    starts();
    request(1);
    time_us += 1000u;
    scans(1);
    rejected(edgeplug_Reason_REASON_DEADLINE);
    ep_shadow_poll(&agents);
    CHECK_EQ(candidate.calls[HANDLE], 0);
    CHECK_EQ(report()->compared, 0);
  }

  TEST("requests before and after a run are the active agent's alone") {
    fresh();
    request_agents();
    request(1);
    ep_shadow_poll(&agents);
    starts();
    ep_agent_revert(&agents);
    request(1);
    ep_shadow_poll(&agents);
    CHECK_EQ(candidate.calls[HANDLE], 0);
  }

  TEST("a state is handed over between two requests, in the main loop's time") {
    fresh();
    request_agents();
    agents.bank[0].manifest.state_id = agents.bank[1].manifest.state_id = 5;
    active.state = 42;
    active.uses[SAVE] = candidate.uses[RESTORE] = 1000; /* each all of its own */
    starts();
    CHECK_EQ(candidate.state, 42);
    CHECK(agents.bank[0].instance.sliced && agents.bank[1].instance.sliced);
    candidate.uses[RESTORE] = 1001;
    ep_agent_revert(&agents);
    agents.bank[1].loaded = true;
    CHECK_EQ(ep_agent_shadow(&agents, &wanted), EP_ERR_HANDOVER);
    rejected(edgeplug_Reason_REASON_HANDOVER);
  }
}

int main(void) {
  compares();
  ends();
  hands_over();
  undisturbed();
  requests();
  return check_done();
}
