/* The journal by itself and what it protects: keys, lock, spent packages, counters. */
#include "check.h"
#include "errors.h"
#include "world.h"

static world_t world, base;
static package_t package, other;

static void boot_new(flash_geometry_t geometry) {
  world_init(&world, geometry, 3);
  world_boot(&world, EP_RESET_POWER_ON);
}

static int add_key(uint8_t first, edgeplug_KeyRole role) {
  edgeplug_AddKey key = edgeplug_AddKey_init_zero;
  memset(key.public_key, first, sizeof key.public_key);
  key.role = role;
  return ep_engine_add_key(&world.engine, &key);
}

/* A plain request, all zeros but for its kind. */
static int ask(pb_size_t tag) {
  edgeplug_Request request = edgeplug_Request_init_zero;
  request.which_body = tag;
  return ep_hotswap_command(&world.engine, &request);
}

static uint32_t half_address(uint32_t half) {
  const ep_board_map_t *map = flash_map(world.flash.geometry);
  return map->journal_address + half * map->journal_half_size;
}

static void wipe_half(uint32_t half) {
  for (uint32_t i = 0; i < flash_map(world.flash.geometry)->journal_half_size; i++) {
    world.flash.bytes[half_address(half) + i] = 0x5A;
  }
}

/* What a failed trial leaves in the journal. */
static void spend(uint32_t id) {
  ep_journal_entry_t entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = EP_JOURNAL_REJECTED;
  entry.reason = edgeplug_Reason_REASON_TRAP;
  entry.extra = EP_JOURNAL_SPENDS;
  entry.swap_number = id;
  memcpy(entry.u.data, &id, sizeof id);
  CHECK_EQ(ep_journal_write(&world.engine.journal, &entry), EP_OK);
}

static void run_in(flash_geometry_t geometry) {
  TEST("the newest 32 spent packages are remembered through any number of compactions") {
    edgeplug_SpentList list;
    boot_new(geometry);
    for (uint32_t id = 1; id <= 700; id++) {
      spend(id);
      if (id % 50 == 0) world_boot(&world, EP_RESET_POWER_ON);
    }
    ep_hotswap_spent(&world.engine, &list);
    CHECK_EQ(list.digests_count, 32);
    for (uint32_t i = 0; i < list.digests_count; i++) {
      uint32_t id;
      memcpy(&id, list.digests[i], sizeof id);
      CHECK_EQ(id, 700 - i);
    }
    CHECK_EQ(world.flash.violations, 0);
  }
  TEST("one spent package can be cleared and the others stay") {
    edgeplug_SpentList list;
    uint8_t digest[16] = {3};
    boot_new(geometry);
    for (uint32_t id = 1; id <= 5; id++) spend(id);
    CHECK_EQ(world_clear_spent(&world, digest, 5), EP_ERR_BAD_REQUEST);
    CHECK_EQ(world_clear_spent(&world, digest, 16), EP_OK);
    world_boot(&world, EP_RESET_POWER_ON);
    ep_hotswap_spent(&world.engine, &list);
    CHECK_EQ(list.digests_count, 4);
    CHECK(!ep_journal_is_spent(&world.engine.journal, digest));
    digest[0] = 4;
    CHECK(ep_journal_is_spent(&world.engine.journal, digest));
    CHECK_EQ(world_clear_spent(&world, NULL, 0), EP_OK);
    CHECK(!ep_journal_is_spent(&world.engine.journal, digest));
  }
  TEST("the history tells what happened, newest first, and goes on over compactions") {
    edgeplug_History history;
    uint32_t last;
    boot_new(geometry);
    for (uint32_t boot = 0; boot < 300; boot++) world_boot(&world, EP_RESET_POWER_ON);
    ep_hotswap_history(&world.engine, 0, &history);
    CHECK_EQ(history.entries_count, 16);
    for (uint32_t i = 0; i < history.entries_count; i++) {
      CHECK_EQ(history.entries[i].kind, edgeplug_HistoryKind_HISTORY_KIND_BOOT);
      if (i > 0) CHECK(history.entries[i].sequence < history.entries[i - 1].sequence);
    }
    last = history.entries[7].sequence;
    ep_hotswap_history(&world.engine, last, &history);
    CHECK(history.entries[0].sequence < last);
    CHECK_EQ(ep_hotswap_boot_number(&world.engine), 301);
  }
  TEST("keys: eight at most, one role each, the same one again is no change") {
    edgeplug_KeyList list;
    boot_new(geometry);
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_UNSPECIFIED), EP_ERR_BAD_REQUEST);
    for (uint8_t key = 1; key <= 8; key++) CHECK_EQ(add_key(key, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    CHECK_EQ(add_key(3, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    CHECK_EQ(add_key(3, edgeplug_KeyRole_KEY_ROLE_OPERATOR), EP_ERR_KEY_ROLE);
    CHECK_EQ(add_key(9, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_ERR_KEYS_FULL);
    world_boot(&world, EP_RESET_POWER_ON);
    ep_hotswap_keys(&world.engine, &list);
    CHECK_EQ(list.keys_count, 8);
  }
  TEST("locking needs a key of each role and refuses while a confirmed package would not verify") {
    boot_new(geometry);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_ERR_LOCK_REFUSED);
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_ERR_LOCK_REFUSED);
    CHECK_EQ(add_key(2, edgeplug_KeyRole_KEY_ROLE_OPERATOR), EP_OK);
    base = world;
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_ERR_LOCK_REFUSED);
    CHECK(!ep_hotswap_locked(&world.engine));
    world_copy(&world, &base);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_OK);
  }
  TEST("nothing that was begun before the lock goes on behind it without a publisher's signature") {
    edgeplug_BeginReply reply;
    boot_new(geometry);
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    CHECK_EQ(add_key(2, edgeplug_KeyRole_KEY_ROLE_OPERATOR), EP_OK);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    base = world;
    /* A session is over with each change of keys; it goes on with all that it had, if it may. */
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_OK);
    CHECK_EQ(add_key(3, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_IDLE);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_OK);
    CHECK(reply.resumed);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_OK);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_UNSIGNED);
    world_copy(&world, &base);
    CHECK_EQ(world_stage(&world, &package), EP_OK);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_OK);
    CHECK_EQ(ask(edgeplug_Request_activate_tag), EP_ERR_NO_SESSION);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_UNSIGNED);
    /* On trial: it would be confirmed. */
    world_copy(&world, &base);
    CHECK_EQ(world_push(&world, &package), EP_OK);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_ERR_LOCK_REFUSED);
    CHECK(!ep_hotswap_locked(&world.engine));
  }
  TEST("a locked board refuses unsigned packages, unknown keys and every command that changes state") {
    edgeplug_BeginReply reply;
    boot_new(geometry);
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    CHECK_EQ(add_key(2, edgeplug_KeyRole_KEY_ROLE_OPERATOR), EP_OK);
    CHECK_EQ(ep_engine_lock(&world.engine), EP_OK);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK(ep_hotswap_locked(&world.engine));
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_UNSIGNED);
    package.begin.key_id.size = 8;
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_SIGNATURE);
    package.begin.signature.size = 64;
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_KEY_UNKNOWN);
    CHECK_EQ(ask(edgeplug_Request_rollback_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_confirm_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_clear_spent_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_lock_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_unlock_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_add_key_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_remove_key_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_replace_key_tag), EP_ERR_LOCKED);
    CHECK_EQ(ask(edgeplug_Request_allow_downgrade_tag), EP_ERR_LOCKED);
  }
  TEST("an open board takes a package of an unknown key and says that it is unverified") {
    edgeplug_SlotInfo info;
    boot_new(geometry);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    package.begin.key_id.size = 8;
    package.begin.signature.size = 64;
    CHECK_EQ(world_update(&world, &package), EP_OK);
    CHECK_EQ(ep_hotswap_slot_info(&world.engine, 0, &info), EP_OK);
    CHECK_EQ(info.signature, edgeplug_Signature_SIGNATURE_UNVERIFIED);
  }
  TEST("either half alone still has keys and lock") {
    for (uint32_t half = 0; half < 2; half++) {
      boot_new(geometry);
      CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
      CHECK_EQ(add_key(2, edgeplug_KeyRole_KEY_ROLE_OPERATOR), EP_OK);
      CHECK_EQ(ep_engine_lock(&world.engine), EP_OK);
      wipe_half(half);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK(!world.engine.journal.damaged);
      CHECK(ep_hotswap_locked(&world.engine));
      CHECK_EQ(world.engine.journal.keys, 2);
      wipe_half(half ^ 1); /* the boot has repaired the other one */
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK(!world.engine.journal.damaged);
      CHECK(ep_hotswap_locked(&world.engine));
    }
  }
  TEST("a journal without a good half fails closed: locked, says so, keeps running, writes nothing") {
    edgeplug_BeginReply reply;
    edgeplug_Status status;
    uint32_t operations;
    boot_new(geometry);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    wipe_half(0);
    wipe_half(1);
    operations = world.flash.operations;
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    CHECK(ep_hotswap_locked(&world.engine));
    ep_hotswap_status(&world.engine, &status);
    CHECK_EQ(status.journal_error, -EP_ERR_JOURNAL);
    CHECK(status.locked);
    package_make(&other, 2, AGENT_GOOD, 300, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &other.begin, &reply), EP_ERR_JOURNAL);
    CHECK_EQ(ask(edgeplug_Request_add_key_tag), EP_ERR_LOCKED);
    CHECK_EQ(world.flash.operations, operations);
  }
  TEST("a board that leaves its flash alone says why, runs nothing, and takes nothing") {
    edgeplug_BeginReply reply;
    edgeplug_Status status;
    uint8_t byte;
    boot_new(geometry);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    const uint32_t operations = world.flash.operations;
    world.flash.off_limits = true;
    world_boot(&world, EP_RESET_POWER_ON);
    ep_hotswap_status(&world.engine, &status);
    CHECK(status.safe_mode);
    CHECK_EQ(status.journal_error, -EP_ERR_OPTION_BYTES);
    package_make(&other, 2, AGENT_GOOD, 300, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &other.begin, &reply), EP_ERR_OPTION_BYTES);
    CHECK_EQ(ep_hotswap_read_slot(&world.engine, 0, 0, &byte, 1), EP_ERR_OPTION_BYTES);
    world_run(&world, 100);
    CHECK_EQ(world.flash.operations, operations);
    world.flash.off_limits = false;
    world_boot(&world, EP_RESET_POWER_ON);
    ep_hotswap_status(&world.engine, &status);
    CHECK_EQ(status.journal_error, 0);
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("a blank journal beside a slot that isn't blank is a damaged one, not a new board") {
    boot_new(geometry);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    memset(world.flash.bytes + half_address(0), 0xFF, 2u * flash_map(geometry)->journal_half_size);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK(world.engine.journal.damaged);
    CHECK(ep_hotswap_locked(&world.engine));
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("any bit that rots in the journal costs neither agent nor keys, and the next update succeeds") {
    uint32_t size = 2u * flash_map(geometry)->journal_half_size;
    boot_new(geometry);
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    package_make(&other, 2, AGENT_GOOD, 300, NULL);
    base = world;
    for (uint32_t at = 0; at < size; at += 5) {
      world = base;
      flash_rot(&world.flash, half_address(0) + at, at % 8);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(world_running(&world), 1);
      CHECK_EQ(world.engine.journal.keys, 1);
      CHECK(!ep_hotswap_locked(&world.engine));
      if (at % 35 == 0) CHECK_EQ(world_update(&world, &other), EP_OK);
    }
  }
  TEST("a key that rots in one half while the board runs is read from the other, and outlives every "
       "compaction") {
    const uint32_t entries = 2u; /* where the first key begins, behind both copies of the header */
    for (uint32_t half = 0; half < 2; half++) {
      uint8_t key[32];
      boot_new(geometry);
      CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
      CHECK_EQ(add_key(2, edgeplug_KeyRole_KEY_ROLE_OPERATOR), EP_OK);
      CHECK_EQ(ep_engine_lock(&world.engine), EP_OK);
      flash_rot(&world.flash, half_address(half) + 32u * entries + 20u, 3);
      CHECK_EQ(ep_journal_key(&world.engine.journal, 0, key), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
      CHECK_EQ(key[0] + key[31], 2);
      for (uint32_t id = 1; id < 400; id++) spend(id);
      CHECK_EQ(ep_journal_key(&world.engine.journal, 0, key), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK(!world.engine.journal.damaged);
      CHECK(ep_hotswap_locked(&world.engine));
      CHECK_EQ(world.engine.journal.keys, 2);
      CHECK_EQ(ep_journal_key(&world.engine.journal, 1, key), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
    }
  }
  TEST("a unit of the journal that can't be read costs neither agent nor keys") {
    boot_new(geometry);
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    base = world;
    for (uint32_t at = 0; at < 2u * flash_map(geometry)->journal_half_size; at += 8) {
      world = base;
      flash_break_unit(&world.flash, half_address(0) + at);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(world_running(&world), 1);
      CHECK_EQ(world.engine.journal.keys, 1);
      CHECK(!world.engine.journal.damaged);
      CHECK_EQ(world.flash.violations, 0);
    }
  }
  TEST("a half that says it has outlived a generation older than its own does not fall back to that") {
    for (uint32_t half = 0; half < 2u; half++) {
      ep_journal_t *journal = &world.engine.journal;
      edgeplug_SpentList list;
      uint32_t generation;
      boot_new(geometry);
      spend(1);
      while (journal->half != half || journal->generation < 4u) {
        CHECK_EQ(ep_journal_save(journal, EP_KEPT_STATE, EP_JOURNAL_STATE), EP_OK);
      }
      /* As a mount leaves it that had to make room for its note, and is cut as it makes the other half whole. */
      generation = journal->generation;
      CHECK_EQ(ep_journal_note(journal, EP_JOURNAL_HEADER, 0, 0, generation - 1u), EP_OK);
      wipe_half(half ^ 1u);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(journal->generation, generation + 1u);
      spend(2);
      world_boot(&world, EP_RESET_POWER_ON);
      ep_hotswap_spent(&world.engine, &list);
      CHECK_EQ(list.digests_count, 2);
    }
  }
  TEST("generations, sequence numbers and boot numbers go on over their wrap") {
    edgeplug_SpentList list;
    boot_new(geometry);
    world.engine.journal.generation = 0xFFFFFFFEu;
    world.engine.journal.sequence = 0xFFFFFF00u;
    world.engine.journal.kept[EP_KEPT_STATE].u.state.boot_number = 0xFFFFFFF0u;
    CHECK_EQ(add_key(1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), EP_OK); /* writes both halves */
    for (uint32_t id = 1; id <= 700; id++) {
      spend(id);
      if (id % 20 == 0) world_boot(&world, EP_RESET_POWER_ON);
    }
    ep_hotswap_spent(&world.engine, &list);
    CHECK_EQ(list.digests_count, 32);
    CHECK_EQ(list.digests[0][0], 700 & 0xFF);
    CHECK_EQ(ep_hotswap_boot_number(&world.engine), 19);
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
