/* What a shadow run means to a staged package: when one may be asked for, and what its end leaves behind. */
#include <math.h>

#include "check.h"
#include "errors.h"
#include "world.h"

static world_t world;
static package_t first, second;
static edgeplug_Shadow wanted;

/* A board whose first agent runs, and a second one staged. */
static void staged(uint8_t nature) {
  world_init(&world, FLASH_L5, 7);
  world_boot(&world, EP_RESET_POWER_ON);
  package_make(&first, 1, AGENT_GOOD, 400, NULL);
  package_make(&second, 2, nature, 400, NULL);
  CHECK_EQ(world_update(&world, &first), EP_OK);
  CHECK_EQ(world_stage(&world, &second), EP_OK);
  wanted = (edgeplug_Shadow){.scans = 10};
}

static int asked(void) {
  return ep_engine_shadow(&world.engine, &wanted);
}

static edgeplug_UpdatePhase phase(void) {
  return (edgeplug_UpdatePhase)world.engine.phase;
}

static uint32_t spent(void) {
  edgeplug_SpentList list;
  ep_hotswap_spent(&world.engine, &list);
  return list.digests_count;
}

static edgeplug_ShadowState state(void) {
  edgeplug_ShadowReport report;
  ep_hotswap_shadow_report(&world.engine, &report);
  return report.state;
}

int main(void) {
  TEST("a run that agrees leaves the package staged, without a flash operation, and it can be activated") {
    uint32_t operations;
    staged(AGENT_GOOD);
    operations = world.flash.operations;
    CHECK_EQ(asked(), EP_OK);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
    CHECK_EQ(ep_engine_activate(&world.engine), EP_ERR_BUSY);
    world_run(&world, 11);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    CHECK_EQ(state(), edgeplug_ShadowState_SHADOW_STATE_AGREED);
    CHECK_EQ(world.flash.operations, operations);
    CHECK_EQ(spent(), 0);
    CHECK_EQ(ep_engine_activate(&world.engine), EP_OK);
    world_settle(&world);
    CHECK_EQ(world_running(&world), 2);
  }

  TEST("a run that does not agree rejects and spends the package, which never ran") {
    static const struct {
      uint8_t nature;
      edgeplug_Reason reason;
      int error;
    } ways[] = {{AGENT_STRANGE, edgeplug_Reason_REASON_SHADOW, EP_ERR_SHADOW},
                {AGENT_TRAPS, edgeplug_Reason_REASON_TRAP, EP_ERR_AGENT_TRAP}};
    for (uint32_t way = 0; way < 2u; way++) {
      edgeplug_BeginReply reply;
      staged(ways[way].nature);
      CHECK_EQ(asked(), EP_OK);
      world_run(&world, 11);
      CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
      CHECK_EQ(world.engine.last_error, ways[way].error);
      CHECK_EQ(world.last_failure, ways[way].error);
      CHECK_EQ(world_slot_state(&world, 1), edgeplug_SlotState_SLOT_STATE_REJECTED);
      CHECK_EQ(world_slot_reason(&world, 1), ways[way].reason);
      CHECK_EQ(spent(), 1);
      CHECK_EQ(ep_engine_activate(&world.engine), EP_ERR_NO_SESSION);
      CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_ERR_SPENT);
      CHECK_EQ(world_running(&world), 1);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(world_running(&world), 1);
      CHECK_EQ(spent(), 1);
    }
  }

  TEST("a hand-over that fails rejects and spends the package, and is the answer") {
    staged(AGENT_HANDOVER);
    CHECK_EQ(asked(), EP_ERR_HANDOVER);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_HANDOVER);
    CHECK_EQ(state(), edgeplug_ShadowState_SHADOW_STATE_REJECTED);
    CHECK_EQ(spent(), 1);
  }

  TEST("the same request again is answered as before, another one is told that the board is busy") {
    staged(AGENT_GOOD);
    CHECK_EQ(asked(), EP_OK);
    CHECK_EQ(asked(), EP_OK);
    wanted.scans = 11;
    CHECK_EQ(asked(), EP_ERR_BUSY);
    wanted.scans = 10;
    wanted.tolerance_count = 1;
    CHECK_EQ(asked(), EP_ERR_BUSY);
    wanted.tolerance_count = 0;
    wanted.allowed = 1;
    CHECK_EQ(asked(), EP_ERR_BUSY);
    wanted.scans = 0;
    CHECK_EQ(asked(), EP_ERR_BUSY);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
  }

  TEST("the session's own Begin is welcome while it runs, another one and chunks are not") {
    edgeplug_BeginReply reply;
    uint32_t next = 0;
    staged(AGENT_GOOD);
    CHECK_EQ(asked(), EP_OK);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK_EQ(reply.offset, 400);
    CHECK(reply.resumed);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &first.begin, &reply), EP_ERR_BUSY);
    CHECK_EQ(ep_hotswap_chunk(&world.engine, 0, second.payload, 64, &next), EP_ERR_NO_SESSION);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
  }

  TEST("no request is taken without a staged package, and none that asks for nonsense") {
    world_init(&world, FLASH_L5, 7);
    world_boot(&world, EP_RESET_POWER_ON);
    wanted = (edgeplug_Shadow){.scans = 10};
    CHECK_EQ(asked(), EP_ERR_NO_SESSION);
    CHECK_EQ(state(), edgeplug_ShadowState_SHADOW_STATE_NONE);
    CHECK_EQ(world_stage(&world, &first), EP_OK);
    CHECK_EQ(asked(), EP_ERR_NO_SHADOW_PARTNER);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    staged(AGENT_GOOD);
    wanted.scans = 0;
    CHECK_EQ(asked(), EP_ERR_BAD_REQUEST);
    wanted.scans = 1;
    wanted.tolerance_count = 6;
    wanted.tolerance[5] = NAN;
    CHECK_EQ(asked(), EP_ERR_BAD_REQUEST);
    wanted.tolerance[5] = -1.0f;
    CHECK_EQ(asked(), EP_ERR_BAD_REQUEST);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    wanted.tolerance[5] = -0.0f;
    CHECK_EQ(asked(), EP_OK);
  }

  TEST("an abort, a silent host and a change of keys end it and spend nothing") {
    for (uint32_t way = 0; way < 3u; way++) {
      edgeplug_AddKey key = {.role = edgeplug_KeyRole_KEY_ROLE_OPERATOR, .public_key = {1, 2, 3}};
      staged(AGENT_GOOD);
      wanted.scans = 1000000;
      CHECK_EQ(asked(), EP_OK);
      if (way == 0u) CHECK_EQ(ep_engine_abort(&world.engine), EP_OK);
      if (way == 1u) world_run(&world, 29990);
      if (way == 1u) CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
      if (way == 1u) world_run(&world, 20);
      if (way == 2u) CHECK_EQ(ep_engine_add_key(&world.engine, &key), EP_OK);
      CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
      CHECK_EQ(state(), edgeplug_ShadowState_SHADOW_STATE_STOPPED);
      CHECK_EQ(spent(), 0);
      CHECK_EQ(world_slot_state(&world, 1), edgeplug_SlotState_SLOT_STATE_STAGED);
      CHECK_EQ(world_stage(&world, &second), EP_OK);
    }
  }

  TEST("a rollback and a confirmation are no answer to it") {
    staged(AGENT_GOOD);
    CHECK_EQ(asked(), EP_OK);
    CHECK_EQ(ep_engine_rollback(&world.engine, false), EP_ERR_NO_FALLBACK);
    CHECK_EQ(ep_engine_confirm(&world.engine), EP_ERR_NOT_IN_TRIAL);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
  }

  TEST("a host that is slow has half a minute after the end too") {
    staged(AGENT_GOOD);
    wanted.scans = 29000;
    CHECK_EQ(asked(), EP_OK);
    world_run(&world, 29001);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    world_run(&world, 29000);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    world_run(&world, 1001);
    CHECK_EQ(phase(), edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
  }
  return check_done();
}
