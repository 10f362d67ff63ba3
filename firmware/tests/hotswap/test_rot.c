/* Records and marks that can't be read, or can at one time and not at another. */
#include "check.h"
#include "errors.h"
#include "world.h"

static world_t world;
static package_t package;

static int update(uint32_t id) {
  package_make(&package, id, AGENT_GOOD, 400, NULL);
  return world_update(&world, &package);
}

static void with_agents(flash_geometry_t geometry, uint32_t count) {
  world_init(&world, geometry, 5);
  world_boot(&world, EP_RESET_POWER_ON);
  for (uint32_t id = 1; id <= count; id++) CHECK_EQ(update(id), EP_OK);
}

static uint32_t slot_address(uint32_t slot) {
  return flash_map(world.flash.geometry)->slot_address[slot];
}

static void break_confirmed(uint32_t slot) {
  uint32_t mark = slot_address(slot) + EP_RECORD_PAYLOAD_MAX + EP_RECORD_MARK_CONFIRMED_OFFSET;
  flash_break_unit(&world.flash, mark);
  flash_break_unit(&world.flash, mark + EP_FLASH_UNIT);
}

/* The same bit again: it can be read again. */
static void rot_record(uint32_t slot) {
  flash_rot(&world.flash, slot_address(slot) + EP_RECORD_PAYLOAD_MAX + EP_RECORD_MANIFEST_OFFSET + 5u, 3);
}

static void run_in(flash_geometry_t geometry) {
  TEST("a confirmed agent that loses its CONFIRMED is on trial once more, and confirmed again") {
    with_agents(geometry, 1);
    break_confirmed(0);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL);
    world_settle(&world);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_state(&world, 0), edgeplug_SlotState_SLOT_STATE_CONFIRMED);
  }
  TEST("one that loses its CONFIRMED and is older than the other agent takes nobody's place") {
    for (uint32_t cause = EP_RESET_POWER_ON; cause <= EP_RESET_FAULT; cause++) {
      with_agents(geometry, 1);
      break_confirmed(0);
      CHECK_EQ(update(2), EP_OK);
      world_boot(&world, (ep_reset_cause_t)cause);
      CHECK_EQ(world_running(&world), 2);
      CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
      CHECK_EQ(world_slot_state(&world, 0), edgeplug_SlotState_SLOT_STATE_TRIAL);
      /* It is what is left once the newer one has rotted. */
      flash_rot(&world.flash, slot_address(1) + 77, 3);
      world_boot(&world, EP_RESET_POWER_ON);
      world_settle(&world);
      CHECK_EQ(world_running(&world), 1);
      CHECK_EQ(world_slot_state(&world, 0), edgeplug_SlotState_SLOT_STATE_CONFIRMED);
    }
  }
  TEST("the update of an agent whose record can't be read is the newer one when it can be read again") {
    const ep_journal_change_t compaction = {.clear = true};
    for (uint32_t booted = 0; booted < 2; booted++) {
      with_agents(geometry, 3);
      if (booted != 0u) {
        /* All that is left of number 3 besides its record is what boot has noted. */
        CHECK_EQ(ep_journal_change(&world.engine.journal, &compaction), EP_OK);
        world_boot(&world, EP_RESET_POWER_ON);
      }
      rot_record(0);
      CHECK_EQ(update(4), EP_OK);
      CHECK_EQ(world.agents.active.swap_number, 4);
      rot_record(0);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(world_running(&world), 4);
    }
  }
  TEST("status tells who runs, on trial or confirmed, though the record can't be read any more") {
    edgeplug_Status status;
    with_agents(geometry, 1);
    package_make(&package, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_push(&world, &package), EP_OK);
    rot_record(1);
    ep_hotswap_status(&world.engine, &status);
    CHECK_EQ(status.active.swap_number, 2);
    CHECK_EQ(status.active.state, edgeplug_SlotState_SLOT_STATE_TRIAL);
    world_settle(&world);
    ep_hotswap_status(&world.engine, &status);
    CHECK_EQ(status.active_slot, 1);
    CHECK_EQ(status.active.swap_number, 2);
    CHECK_EQ(status.active.state, edgeplug_SlotState_SLOT_STATE_CONFIRMED);
  }
}

int main(void) {
  printf("# 2 KiB pages, 8-byte units\n");
  run_in(FLASH_L5);
  printf("# 4 KiB erases, 256-byte programs\n");
  run_in(FLASH_NOR);
  return check_done();
}
