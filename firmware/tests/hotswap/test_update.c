/* The life of an update without any power cut: what hotswap.md says of each step. */
#include "check.h"
#include "errors.h"
#include "world.h"

static world_t world;
static package_t first, second, third;

static void fresh(flash_geometry_t geometry) {
  world_init(&world, geometry, 7);
  world_boot(&world, EP_RESET_POWER_ON);
}

static void with_first(flash_geometry_t geometry) {
  fresh(geometry);
  package_make(&first, 1, AGENT_GOOD, 400, NULL);
  CHECK_EQ(world_update(&world, &first), EP_OK);
  CHECK_EQ(world_running(&world), 1);
}

static void security_two(edgeplug_Manifest *manifest) {
  manifest->security_version = 2;
}

static void by_host(edgeplug_Manifest *manifest) {
  manifest->trial.confirm_by_host = true;
}

static void other_class(edgeplug_Manifest *manifest) {
  manifest->board_class = 99;
}
static void other_abi(edgeplug_Manifest *manifest) {
  manifest->abi = 2;
}
static void too_much_memory(edgeplug_Manifest *manifest) {
  manifest->limits.memory_bytes = 1u << 20;
}
static void too_much_fuel(edgeplug_Manifest *manifest) {
  manifest->limits.fuel = 5000; /* 0.65 ms of a scan, and the first agent takes 0.13 ms */
}
static void too_many_channels(edgeplug_Manifest *manifest) {
  manifest->outputs = 5;
}
static void never_ending_trial(edgeplug_Manifest *manifest) {
  manifest->trial.healthy_scans = 100;
}

static int refused(uint32_t id, manifest_edit_fn edit) {
  edgeplug_BeginReply reply = edgeplug_BeginReply_init_zero;
  package_make(&second, id, AGENT_GOOD, 400, edit);
  return ep_hotswap_begin(&world.engine, &second.begin, &reply);
}

static void run_in(flash_geometry_t geometry) {
  TEST("an empty board boots into safe mode and takes a first package") {
    fresh(geometry);
    CHECK_EQ(world_running(&world), 0);
    CHECK(!ep_hotswap_locked(&world.engine));
    package_make(&first, 1, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &first), EP_OK);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_state(&world, 0), edgeplug_SlotState_SLOT_STATE_CONFIRMED);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world.flash.violations, 0);
  }
  TEST("updates alternate between the slots and swap numbers rise by one") {
    with_first(geometry);
    for (uint32_t id = 2; id < 40; id++) {
      package_make(&second, id, AGENT_GOOD, 100 + id * 331, NULL);
      CHECK_EQ(world_update(&world, &second), EP_OK);
      CHECK_EQ(world.agents.active.swap_number, id);
      CHECK_EQ(world.agents.active.slot, (id + 1) % 2);
    }
    CHECK_EQ(world.flash.violations, 0);
  }
  TEST("a full slot goes in by chunks of any size, in any order of repeats and gaps") {
    edgeplug_BeginReply reply;
    uint32_t offset = 0, seed = 99;
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 13824, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK_EQ(reply.offset, 0);
    while (offset < second.size) {
      uint32_t at = offset, size = 1 + flash_random(&seed) % 512, luck = flash_random(&seed) % 8;
      if (luck == 0) at += 1;
      if (luck == 1) at -= at < 100 ? at : 100;
      if (at > second.size) at = second.size;
      if (size > second.size - at) size = second.size - at;
      CHECK_EQ(ep_hotswap_chunk(&world.engine, at, second.payload + at, size, &offset), EP_OK);
    }
    world_settle(&world);
    CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    CHECK_BYTES(world.flash.bytes + flash_map(geometry)->slot_address[1], second.payload, second.size);
    CHECK_EQ(ep_engine_activate(&world.engine), EP_OK);
    world_settle(&world);
    CHECK_EQ(world_running(&world), 2);
    CHECK_EQ(world.flash.violations, 0);
  }
  TEST("Begin refuses what the board can't run, before it touches flash") {
    uint32_t operations;
    with_first(geometry);
    operations = world.flash.operations;
    CHECK_EQ(refused(2, other_class), EP_ERR_BOARD_CLASS);
    CHECK_EQ(refused(2, other_abi), EP_ERR_ABI);
    CHECK_EQ(refused(2, too_much_memory), EP_ERR_MEMORY);
    CHECK_EQ(refused(2, too_much_fuel), EP_ERR_FUEL);
    CHECK_EQ(refused(2, too_many_channels), EP_ERR_CHANNELS);
    CHECK_EQ(refused(2, never_ending_trial), EP_ERR_MANIFEST);
    CHECK_EQ(refused(0, NULL), EP_ERR_RELEASE);
    CHECK_EQ(refused(1, other_abi), EP_ERR_ABI);
    CHECK_EQ(refused(1, by_host), EP_ERR_RELEASE);
    CHECK_EQ(world.flash.operations, operations);
    CHECK_EQ(refused(1, NULL), EP_OK);
  }
  TEST("a lower release is taken with allow_downgrade on an open board") {
    with_first(geometry);
    package_make(&second, 0, AGENT_GOOD, 400, NULL);
    second.begin.allow_downgrade = true;
    CHECK_EQ(world_update(&world, &second), EP_OK);
  }
  TEST("one staging at a time: another Begin gets BUSY, the same one the present offset") {
    edgeplug_BeginReply reply;
    uint32_t next;
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 5000, NULL);
    package_make(&third, 3, AGENT_GOOD, 5000, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK_EQ(ep_hotswap_chunk(&world.engine, 0, second.payload, 500, &next), EP_OK);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &third.begin, &reply), EP_ERR_BUSY);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK_EQ(reply.offset, 500);
    CHECK(reply.resumed);
    CHECK_EQ(world_push(&world, &second), EP_OK);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &third.begin, &reply), EP_ERR_BUSY);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_ERR_BUSY);
  }
  TEST(
      "after a reset the same manifest resumes at the first page without progress, another one starts anew") {
    edgeplug_BeginReply reply;
    uint32_t page = flash_map(geometry)->erase_size;
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 13000, NULL);
    package_make(&third, 3, AGENT_GOOD, 13000, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK(!reply.resumed);
    CHECK_EQ(world_send(&world, &second, 0, 9000, 512), EP_OK);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK(reply.resumed);
    CHECK_EQ(reply.offset, 9000 / page * page);
    CHECK_EQ(world_send(&world, &second, reply.offset, 12500, 512), EP_OK);
    CHECK_EQ(ep_engine_abort(&world.engine), EP_OK);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &third.begin, &reply), EP_OK);
    CHECK_EQ(reply.offset, 0);
    CHECK(!reply.resumed);
    CHECK_EQ(world_update(&world, &third), EP_OK);
    CHECK_EQ(world.flash.violations, 0);
  }
  TEST("a staged package waits over a reset for its Activate and is never started by itself") {
    edgeplug_BeginReply reply;
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 13000, NULL);
    CHECK_EQ(world_stage(&world, &second), EP_OK);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(ep_engine_activate(&world.engine), EP_ERR_NO_SESSION);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK_EQ(reply.offset, 13000);
    world_settle(&world);
    CHECK_EQ(ep_engine_activate(&world.engine), EP_OK);
    world_settle(&world);
    CHECK_EQ(world_running(&world), 2);
  }
  TEST("thirty seconds without a frame drop the session and nothing else") {
    edgeplug_BeginReply reply;
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 9000, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK_EQ(world_send(&world, &second, 0, 5000, 512), EP_OK);
    world.time_us += 29000000;
    ep_hotswap_touch(&world.engine);
    world.time_us += 29000000;
    ep_hotswap_poll(&world.engine);
    CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING);
    world.time_us += 1000001;
    ep_hotswap_poll(&world.engine);
    CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
    CHECK_EQ(world.last_failure, EP_ERR_STALLED);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &second.begin, &reply), EP_OK);
    CHECK(reply.offset >= 4096);
    CHECK_EQ(world_update(&world, &second), EP_OK);
  }
  TEST("a wrong byte rejects the staging but does not spend the package") {
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 3000, NULL);
    second.payload[1234] ^= 1;
    CHECK_EQ(world_stage(&world, &second), EP_ERR_PAYLOAD_CRC);
    CHECK_EQ(world_slot_state(&world, 1), edgeplug_SlotState_SLOT_STATE_REJECTED);
    CHECK_EQ(world_running(&world), 1);
    second.payload[1234] ^= 1;
    CHECK_EQ(world_update(&world, &second), EP_OK);
    CHECK_EQ(world_running(&world), 2);
  }
  TEST("an agent that traps in its trial is rolled back, rejected and spent until it is cleared") {
    edgeplug_SpentList list;
    with_first(geometry);
    package_make(&second, 2, AGENT_TRAPS, 400, NULL);
    CHECK_EQ(world_update(&world, &second), EP_ERR_ROLLED_BACK);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_TRAP);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_SPENT);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_SPENT);
    ep_hotswap_spent(&world.engine, &list);
    CHECK_EQ(list.digests_count, 1);
    CHECK_EQ(world_clear_spent(&world, list.digests[0], 16), EP_OK);
    CHECK_EQ(world_stage(&world, &second), EP_OK);
  }
  TEST("failing vectors, a refused module and a failing hand-over reject; only the module is not spent") {
    with_first(geometry);
    package_make(&second, 2, AGENT_VECTORS, 400, NULL);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_VECTOR);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_VECTORS);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_SPENT);
    package_make(&second, 3, AGENT_INVALID, 400, NULL);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_MODULE_INVALID);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_INVALID);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_MODULE_INVALID);
    package_make(&second, 4, AGENT_HANDOVER, 400, NULL);
    CHECK_EQ(world_push(&world, &second), EP_ERR_HANDOVER);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_HANDOVER);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_SPENT);
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("a trial that nobody confirms ends at its deadline and does not spend the package") {
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 400, by_host);
    CHECK_EQ(world_update(&world, &second), EP_ERR_ROLLED_BACK);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_UNCONFIRMED);
    CHECK_EQ(world_push(&world, &second), EP_OK);
    CHECK_EQ(ep_engine_confirm(&world.engine), EP_OK);
    world_settle(&world);
    CHECK_EQ(world_running(&world), 2);
    CHECK_EQ(ep_engine_confirm(&world.engine), EP_ERR_NOT_IN_TRIAL);
  }
  TEST("a staged package whose record or mark rots is not activated, and succeeds when it comes again") {
    const uint32_t places[] = {EP_RECORD_CRC_OFFSET, EP_RECORD_MANIFEST_OFFSET + 40u,
                               EP_RECORD_MARK_REJECTED_OFFSET};
    for (uint32_t place = 0; place < sizeof places / sizeof places[0]; place++) {
      with_first(geometry);
      package_make(&second, 2, AGENT_GOOD, 900, NULL);
      CHECK_EQ(world_stage(&world, &second), EP_OK);
      flash_rot(&world.flash, flash_map(geometry)->slot_address[1] + EP_RECORD_PAYLOAD_MAX + places[place],
                2);
      CHECK_EQ(ep_engine_activate(&world.engine), EP_ERR_READ_BACK);
      CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
      CHECK_EQ(world_running(&world), 1);
      CHECK_EQ(world_update(&world, &second), EP_OK);
      CHECK_EQ(world_running(&world), 2);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(world_running(&world), 2);
    }
  }
  TEST("abort ends a trial; the old agent runs and the package may come again") {
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_push(&world, &second), EP_OK);
    CHECK_EQ(world_running(&world), 2);
    CHECK_EQ(ep_engine_abort(&world.engine), EP_OK);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_ABORTED);
    CHECK_EQ(ep_engine_abort(&world.engine), EP_ERR_NO_SESSION);
    CHECK_EQ(world_update(&world, &second), EP_OK);
  }
  TEST("a reset during the trial starts another attempt, at most as many as the manifest allows") {
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_push(&world, &second), EP_OK);
    for (uint32_t attempt = 2; attempt <= 3; attempt++) {
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(world_running(&world), 2);
      CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL);
    }
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_ATTEMPTS);
    CHECK_EQ(world_stage(&world, &second), EP_OK);
  }
  TEST("a watchdog reset during the trial rejects at once: the old agent runs at this very boot") {
    with_first(geometry);
    package_make(&second, 2, AGENT_KILLS, 400, NULL);
    CHECK_EQ(world_push(&world, &second), EP_OK);
    world_run(&world, 10);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_WATCHDOG);
    CHECK_EQ(world_stage(&world, &second), EP_ERR_SPENT);
  }
  TEST("manual rollback goes to the other confirmed agent and rejects the slot that it leaves") {
    with_first(geometry);
    CHECK_EQ(ep_engine_rollback(&world.engine, false), EP_ERR_NO_FALLBACK);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &second), EP_OK);
    CHECK_EQ(ep_engine_rollback(&world.engine, false), EP_OK);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_OPERATOR);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(ep_engine_rollback(&world.engine, false), EP_ERR_NO_FALLBACK);
    CHECK_EQ(world_update(&world, &second), EP_OK);
  }
  TEST("the security version rises with a confirmation and then refuses lower ones, rollback too") {
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 400, security_two);
    CHECK_EQ(world_push(&world, &second), EP_OK);
    CHECK_EQ(world.engine.journal.kept[EP_KEPT_STATE].u.state.security_version, 0);
    world_settle(&world);
    CHECK_EQ(world.engine.journal.kept[EP_KEPT_STATE].u.state.security_version, 2);
    CHECK_EQ(refused(3, NULL), EP_ERR_SECURITY_VERSION);
    CHECK_EQ(ep_engine_rollback(&world.engine, false), EP_ERR_DOWNGRADE);
    CHECK_EQ(ep_engine_rollback(&world.engine, true), EP_OK);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world.engine.journal.kept[EP_KEPT_STATE].u.state.security_version, 2);
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("three watchdog resets of a confirmed agent hand over to the other confirmed one") {
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &second), EP_OK);
    world_boot(&world, EP_RESET_WATCHDOG);
    world_boot(&world, EP_RESET_WATCHDOG);
    CHECK_EQ(world_running(&world), 2);
    world_run(&world, 1001);
    world_boot(&world, EP_RESET_WATCHDOG);
    world_boot(&world, EP_RESET_WATCHDOG);
    CHECK_EQ(world_running(&world), 2);
    world_boot(&world, EP_RESET_WATCHDOG);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_RESETS);
  }
  TEST("three watchdog resets of the only agent keep it, in safe mode until the next power-on") {
    edgeplug_Status status;
    with_first(geometry);
    for (uint32_t reset = 0; reset < 3; reset++) world_boot(&world, EP_RESET_WATCHDOG);
    CHECK_EQ(world_running(&world), 0);
    ep_hotswap_status(&world.engine, &status);
    CHECK(status.safe_mode);
    CHECK_EQ(status.last_reason, edgeplug_Reason_REASON_RESETS);
    world_boot(&world, EP_RESET_REQUESTED);
    CHECK_EQ(world_running(&world), 0);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_stage(&world, &second), EP_OK);
    CHECK_EQ(world.engine.target, 1);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("swap numbers end cleanly at 0xFFFFFFFF") {
    with_first(geometry);
    world.engine.journal.kept[EP_KEPT_FACTS + 1].swap_number = 0xFFFFFFFEu;
    CHECK_EQ(ep_journal_save(&world.engine.journal, EP_KEPT_FACTS + 1, EP_JOURNAL_FACTS), EP_OK);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &second), EP_OK);
    CHECK_EQ(world.agents.active.swap_number, 0xFFFFFFFFu);
    package_make(&third, 3, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &third), EP_ERR_SWAP_NUMBERS);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 2);
  }
  TEST("a payload that rots at rest is found at boot and by the scrub, and the other slot takes over") {
    uint32_t slot;
    for (uint32_t way = 0; way < 2; way++) {
      with_first(geometry);
      package_make(&second, 2, AGENT_GOOD, 400, NULL);
      CHECK_EQ(world_update(&world, &second), EP_OK);
      slot = flash_map(geometry)->slot_address[1];
      flash_rot(&world.flash, slot + 77, 3);
      if (way == 0) {
        world_boot(&world, EP_RESET_POWER_ON);
      } else {
        world_run(&world, 21000);
      }
      CHECK_EQ(world_running(&world), 1);
      CHECK_EQ(world_slot_reason(&world, 1), edgeplug_Reason_REASON_ROTTEN);
      CHECK_EQ(world_update(&world, &second), EP_OK);
      CHECK_EQ(world_running(&world), 2);
    }
  }
  TEST("the only agent goes on from RAM when its slot rots, and the board takes the next update") {
    with_first(geometry);
    flash_rot(&world.flash, flash_map(geometry)->slot_address[0] + 77, 3);
    world_run(&world, 21000);
    CHECK_EQ(world_running(&world), 1);
    CHECK_EQ(world.engine.rotten, 1);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &second), EP_OK);
    CHECK_EQ(world.agents.active.slot, 1);
  }
  TEST("one failed reading, whichever it is, costs no agent, no rejection and no key") {
    static world_t base;
    with_first(geometry);
    package_make(&second, 2, AGENT_GOOD, 400, NULL);
    CHECK_EQ(world_update(&world, &second), EP_OK);
    world_copy(&base, &world);
    for (uint32_t read = 1;; read++) {
      world_copy(&world, &base);
      world.flash.fail_read = read;
      world_boot(&world, EP_RESET_POWER_ON);
      if (world.flash.fail_read != 0) break;
      for (uint32_t boot = 0; boot < 2; boot++) {
        if (!CHECK_EQ(world_running(&world), 2)) printf("# read %u\n", read);
        CHECK(!world.engine.journal.damaged);
        CHECK_EQ(world_slot_state(&world, 0), edgeplug_SlotState_SLOT_STATE_CONFIRMED);
        CHECK_EQ(world_slot_state(&world, 1), edgeplug_SlotState_SLOT_STATE_CONFIRMED);
        world_boot(&world, EP_RESET_POWER_ON);
      }
    }
    CHECK_EQ(world.flash.violations, 0);
  }
}

int main(void) {
  printf("# 2 KiB pages, 8-byte units\n");
  run_in(FLASH_L5);
  printf("# 4 KiB erases, 256-byte programs\n");
  run_in(FLASH_NOR);
  return check_done();
}
