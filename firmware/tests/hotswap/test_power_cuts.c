/* Power is cut at every flash operation of every scenario, before, in the middle (seven ways) and after it, and, on
 * small agents, once more at every operation of the recovery. After each: what may run runs (Law 2), three more boots
 * change nothing (Law 6), a failed package is spent (Law 5), the next update succeeds (Law 3); and the slot to fall back to is never touched (Law 1).
 *
 * A cut forks: the world is copied as it is when the operation is about to happen, torn, and recovered; then the
 * scenario goes on. So nothing is ever replayed.
 */
#include <stdlib.h>

#include "check.h"
#include "errors.h"
#include "world.h"

#define ANY_ID 0xFFFFFFFFu

typedef struct {
  const char *name;
  void (*prepare)(world_t *world);
  void (*run)(world_t *world);
  uint32_t old_id;   /* runs before; 0 = nothing */
  uint32_t new_id;   /* comes */
  uint32_t final_id; /* runs in the end */
  uint32_t fallback; /* slot that must not be touched, 2 = none */
  bool own_journal;  /* the journal, keys or lock are what it is about */
} scenario_t;

static world_t original, forks[2];
static package_t first, second, wanted, next;
static const scenario_t *scenario;
static bool started, done; /* of the scenario's run */
static bool decided;       /* a CONFIRMED or REJECTED mark stands: there is no way back */
static bool pairs;
static uint32_t points, wrong;

static void bad(const char *what, long long got, const flash_operation_t *operation, cut_shape_t shape,
                int depth) {
  if (wrong++ >= 4u) return;
  printf("# %s: %s (%lld), cut %d at operation %u (%s 0x%x, %u), shape %d, depth %d\n", scenario->name, what,
         got, points, (unsigned)original.flash.operations, operation->erase ? "erase" : "program",
         (unsigned)operation->address, (unsigned)operation->size, shape, depth);
  check_test_failed = true;
}

/* Ids that may run after a cut at this time. */
static bool may_run(uint32_t id, edgeplug_UpdatePhase phase) {
  if (!started) return id == scenario->old_id;
  if (done || decided) return id == scenario->final_id;
  if (phase == edgeplug_UpdatePhase_UPDATE_PHASE_RECEIVING ||
      phase == edgeplug_UpdatePhase_UPDATE_PHASE_VERIFYING ||
      phase == edgeplug_UpdatePhase_UPDATE_PHASE_STAGED) {
    return id == scenario->old_id;
  }
  return id == scenario->old_id || id == scenario->new_id;
}

typedef struct {
  int depth;
  edgeplug_UpdatePhase phase; /* of the original when it was cut */
  flash_operation_t operation;
  cut_shape_t shape;
} cut_t;

static void recover(world_t *world, const cut_t *cut);

/* How often a tear is drawn anew: what is decisive is small, and bits that hang in the balance show only now and then. */
static uint32_t draws(const world_t *world, int depth, const flash_operation_t *operation,
                      cut_shape_t shape) {
  const ep_board_map_t *map = flash_map(world->flash.geometry);
  if (depth > 0 || (shape != CUT_WEAK && shape != CUT_HALF_UNSTABLE)) return 1;
  if (operation->erase) return 2;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    uint32_t record = map->slot_address[slot] + EP_RECORD_PAYLOAD_MAX;
    if (operation->address >= record + EP_RECORD_HEADER_SIZE && operation->address < record + EP_RECORD_SIZE)
      return 24;
    if (operation->address >= record && operation->address < record + EP_RECORD_SIZE) return 2;
  }
  return operation->address >= map->journal_address ? 2 : 1;
}

/* Cuts `world` in every way at the operation that is about to happen. */
static void cut_here(world_t *world, int depth, edgeplug_UpdatePhase phase,
                     const flash_operation_t *operation) {
  flash_hook_fn none = NULL;
  world_t *fork = &forks[depth];
  flash_watch(none, NULL);
  for (uint32_t shape = 0; shape < CUT_SHAPES; shape++) {
    const cut_t cut = {depth + 1, phase, *operation, (cut_shape_t)shape};
    for (uint32_t draw = draws(world, depth, operation, (cut_shape_t)shape); draw > 0u; draw--) {
      world_copy(fork, world);
      fork->flash.seed = fork->flash.seed * 31u + shape * 77u + operation->address + points * 2654435761u;
      flash_tear(&fork->flash, operation, (cut_shape_t)shape);
      points++;
      recover(fork, &cut);
    }
  }
  world_use(world);
}

static void on_recovery(void *context, const flash_operation_t *operation) {
  const cut_t *cut = context;
  cut_here(&forks[0], 1, cut->phase, operation);
  flash_watch(on_recovery, context);
}

static void check_next_update(world_t *world, const package_t *package, const cut_t *cut) {
  int error = world_update(world, package);
  if (error != EP_OK) bad("the next update failed", error, &cut->operation, cut->shape, cut->depth);
  if (world_running(world) != package->id) {
    bad("the next update doesn't run", world_running(world), &cut->operation, cut->shape, cut->depth);
  }
}

static void recover(world_t *world, const cut_t *cut) {
  static uint8_t slots[2][EP_RECORD_SLOT_SIZE];
  static world_t probe;
  const ep_board_map_t *map = flash_map(world->flash.geometry);
  uint32_t running;
  if (pairs && cut->depth == 1) flash_watch(on_recovery, (void *)cut);
  world_boot(world, EP_RESET_POWER_ON);
  world_settle(world);
  flash_watch(NULL, NULL);
  running = world_running(world);
  if (!may_run(running, cut->phase)) bad("must not run", running, &cut->operation, cut->shape, cut->depth);
  if (world->engine.journal.damaged) bad("journal damaged", 0, &cut->operation, cut->shape, cut->depth);
  for (uint32_t slot = 0; slot < 2u; slot++) {
    memcpy(slots[slot], world->flash.bytes + map->slot_address[slot], EP_RECORD_SLOT_SIZE);
  }
  for (uint32_t boot = 0; boot < 3u; boot++) {
    world_boot(world, EP_RESET_POWER_ON);
    world_settle(world);
    if (world_running(world) != running) {
      bad("another boot, another agent", world_running(world), &cut->operation, cut->shape, cut->depth);
    }
    for (uint32_t slot = 0; slot < 2u; slot++) {
      if (memcmp(slots[slot], world->flash.bytes + map->slot_address[slot], EP_RECORD_SLOT_SIZE) != 0) {
        bad("another boot changed a slot", slot, &cut->operation, cut->shape, cut->depth);
      }
    }
  }
  if (!ep_hotswap_locked(&world->engine)) {
    edgeplug_KeyList keys;
    ep_hotswap_keys(&world->engine, &keys);
    for (uint32_t key = 0; key < keys.keys_count; key++) {
      if (keys.keys[key].role == edgeplug_KeyRole_KEY_ROLE_UNSPECIFIED) {
        bad("a key can't be read", key, &cut->operation, cut->shape, cut->depth);
      }
    }
    /* Law 5: once the rejection stands, the package is spent. */
    if ((decided || done) && scenario->new_id == wanted.id && scenario->final_id != wanted.id &&
        (wanted.payload[0] == AGENT_TRAPS || wanted.payload[0] == AGENT_KILLS ||
         wanted.payload[0] == AGENT_VECTORS)) {
      edgeplug_BeginReply reply;
      int error = ep_hotswap_begin(&world->engine, &wanted.begin, &reply);
      if (error != EP_ERR_SPENT)
        bad("a failed package is not spent", error, &cut->operation, cut->shape, cut->depth);
    }
    if (scenario->new_id != 0u && running != scenario->new_id && wanted.payload[0] == AGENT_GOOD) {
      world_copy(&probe, world);
      check_next_update(&probe, &wanted, cut);
      if (probe.flash.violations != 0u) bad("violation", 1, &cut->operation, cut->shape, cut->depth);
    }
    world_use(world);
    check_next_update(world, &next, cut);
  } else if (!scenario->own_journal) {
    bad("locked", 0, &cut->operation, cut->shape, cut->depth);
  }
  if (world->flash.violations != 0u) bad("violation", 0, &cut->operation, cut->shape, cut->depth);
}

static void on_operation(void *context, const flash_operation_t *operation) {
  const ep_board_map_t *map = flash_map(original.flash.geometry);
  (void)context;
  if (scenario->fallback < 2u && !done && operation->address >= map->slot_address[scenario->fallback] &&
      operation->address < map->slot_address[scenario->fallback] + EP_RECORD_SLOT_SIZE) {
    bad("the fallback slot was touched", operation->address, operation, CUT_BEFORE, 0);
  }
  cut_here(&original, 0, (edgeplug_UpdatePhase)original.engine.phase, operation);
  /* From the second copy of a deciding mark on, the first one stands. */
  for (uint32_t slot = 0; slot < 2u; slot++) {
    uint32_t record = map->slot_address[slot] + EP_RECORD_PAYLOAD_MAX;
    if (operation->address == record + EP_RECORD_MARK_CONFIRMED_OFFSET ||
        operation->address == record + EP_RECORD_MARK_REJECTED_OFFSET) {
      decided = started;
    }
  }
  flash_watch(on_operation, NULL);
}

static void sweep(const scenario_t *one, flash_geometry_t geometry, bool twice) {
  uint32_t before = points;
  scenario = one;
  started = done = decided = false;
  wrong = 0;
  pairs = twice;
  world_init(&original, geometry, 12345);
  package_make(&next, 9, AGENT_GOOD, 200, NULL);
  flash_watch(NULL, NULL);
  if (one->prepare != NULL) one->prepare(&original);
  world_use(&original);
  flash_watch(on_operation, NULL);
  one->run(&original);
  flash_watch(NULL, NULL);
  done = true;
  /* And if it is switched off when all is over. */
  world_copy(&forks[0], &original);
  recover(&forks[0], &(cut_t){.depth = 1, .operation = {.erase = false}});
  world_use(&original);
  CHECK_EQ(world_running(&original), one->final_id);
  CHECK_EQ(original.flash.violations, 0);
  CHECK_EQ(wrong, 0);
  CHECK(points > before);
}

/* ---- scenarios ---------------------------------------------------------------------------------- */

static void install_first(world_t *world) {
  world_boot(world, EP_RESET_POWER_ON);
  package_make(&first, 1, AGENT_GOOD, 300, NULL);
  (void)world_update(world, &first);
}

static void boot_first(world_t *world) {
  world_boot(world, EP_RESET_POWER_ON);
}

static void install_both(world_t *world) {
  install_first(world);
  package_make(&second, 2, AGENT_GOOD, 300, NULL);
  (void)world_update(world, &second);
}

static void install_and_reject(world_t *world) {
  install_first(world);
  package_make(&second, 2, AGENT_TRAPS, 300, NULL);
  (void)world_update(world, &second);
}

static void install_and_abort(world_t *world) {
  edgeplug_BeginReply reply;
  install_first(world);
  package_make(&second, 2, AGENT_GOOD, 5000, NULL);
  (void)ep_hotswap_begin(&world->engine, &second.begin, &reply);
  (void)world_send(world, &second, 0, 4500, 512);
  (void)ep_engine_abort(&world->engine);
}

static void update_wanted(world_t *world) {
  started = true;
  (void)world_update(world, &wanted);
  done = true;
}

static void run_first_boot(world_t *world) {
  package_make(&wanted, 3, AGENT_GOOD, 300, NULL);
  world_boot(world, EP_RESET_POWER_ON);
  update_wanted(world);
}

static void run_update(world_t *world) {
  package_make(&wanted, 3, AGENT_GOOD, 300, NULL);
  update_wanted(world);
}

static void run_large_update(world_t *world) {
  package_make(&wanted, 3, AGENT_GOOD, world->flash.geometry == FLASH_L5 ? 2100 : 13000, NULL);
  update_wanted(world);
}

static void run_full_update(world_t *world) {
  package_make(&wanted, 3, AGENT_GOOD, 13824, NULL);
  update_wanted(world);
}

static void run_trap(world_t *world) {
  package_make(&wanted, 3, AGENT_TRAPS, 300, NULL);
  update_wanted(world);
}

static void run_kill(world_t *world) {
  package_make(&wanted, 3, AGENT_KILLS, 300, NULL);
  started = true;
  (void)world_push(world, &wanted);
  world_run(world, 10);
  done = true;
}

static void run_vectors(world_t *world) {
  package_make(&wanted, 3, AGENT_VECTORS, 300, NULL);
  update_wanted(world);
}

static void run_attempts(world_t *world) {
  package_make(&wanted, 3, AGENT_GOOD, 300, NULL);
  started = true;
  (void)world_push(world, &wanted);
  for (uint32_t boot = 0; boot < 3u; boot++) world_boot(world, EP_RESET_POWER_ON);
  done = true;
}

static void run_abort_trial(world_t *world) {
  package_make(&wanted, 3, AGENT_GOOD, 300, NULL);
  started = true;
  (void)world_push(world, &wanted);
  (void)ep_engine_abort(&world->engine);
  done = true;
}

static void run_resume(world_t *world) {
  edgeplug_BeginReply reply;
  package_make(&wanted, 3, AGENT_GOOD, 5000, NULL);
  started = true;
  (void)ep_hotswap_begin(&world->engine, &wanted.begin, &reply);
  (void)world_send(world, &wanted, 0, 4700, 512);
  world_boot(world, EP_RESET_POWER_ON);
  update_wanted(world);
}

static void run_rollback(world_t *world) {
  wanted = second;
  started = true;
  (void)ep_engine_rollback(&world->engine, true);
  done = true;
}

static void run_resets(world_t *world) {
  wanted = second;
  started = true;
  for (uint32_t reset = 0; reset < 3u; reset++) world_boot(world, EP_RESET_WATCHDOG);
  done = true;
}

static void run_rot(world_t *world) {
  wanted = second;
  started = true;
  flash_rot(&world->flash, flash_map(world->flash.geometry)->slot_address[1] + 50u, 2);
  world_boot(world, EP_RESET_POWER_ON);
  done = true;
}

static void add_key(world_t *world, uint8_t first_byte, edgeplug_KeyRole role) {
  edgeplug_AddKey key = edgeplug_AddKey_init_zero;
  memset(key.public_key, first_byte, sizeof key.public_key);
  key.role = role;
  (void)ep_engine_add_key(&world->engine, &key);
}

static void run_keys(world_t *world) {
  started = true;
  add_key(world, 1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  add_key(world, 2, edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  add_key(world, 3, edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  done = true;
  CHECK_EQ(world->engine.journal.keys, 3);
}

static void run_lock(world_t *world) {
  started = true;
  add_key(world, 1, edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  add_key(world, 2, edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  CHECK_EQ(ep_engine_lock(&world->engine), EP_OK);
  done = true;
  CHECK(ep_hotswap_locked(&world->engine));
}

static void run_clear(world_t *world) {
  started = true;
  CHECK_EQ(world_clear_spent(world, NULL, 0), EP_OK);
  done = true;
}

static void run_wrap(world_t *world) {
  ep_journal_t *journal = &world->engine.journal;
  uint32_t generation = journal->generation;
  flash_watch(NULL, NULL);
  while (journal->next < ep_board_map()->journal_half_size / 32u - 8u) {
    (void)ep_journal_save(journal, EP_KEPT_STATE, EP_JOURNAL_STATE);
  }
  flash_watch(on_operation, NULL);
  run_update(world);
  CHECK(journal->generation != generation);
}

static const scenario_t scenarios[] = {
    {"first boot and install", NULL, run_first_boot, 0, 3, 3, 2, false},
    {"update", install_first, run_update, 1, 3, 3, 0, false},
    {"update over a confirmed slot", install_both, run_update, 2, 3, 3, 1, false},
    {"update over a rejected slot", install_and_reject, run_update, 1, 3, 3, 0, false},
    {"update over a half-received slot", install_and_abort, run_update, 1, 3, 3, 0, false},
    {"update of several pages", install_both, run_large_update, 2, 3, 3, 1, false},
    {"trial reject by trap", install_first, run_trap, 1, 3, 1, 0, false},
    {"trial reject by watchdog", install_first, run_kill, 1, 3, 1, 0, false},
    {"vectors fail", install_first, run_vectors, 1, 3, 1, 0, false},
    {"attempts used up", install_first, run_attempts, 1, 3, 1, 0, false},
    {"abort of a trial", install_first, run_abort_trial, 1, 3, 1, 0, false},
    {"resume", install_both, run_resume, 2, 3, 3, 1, false},
    {"manual rollback", install_both, run_rollback, 2, 1, 1, 0, false},
    {"three resets", install_both, run_resets, 2, 1, 1, 0, false},
    {"rot at rest", install_both, run_rot, 1, 1, 1, 0, false},
    {"keys", install_first, run_keys, 1, 0, 1, 0, false},
    {"lock", boot_first, run_lock, 0, 0, 0, 2, true},
    {"clear", install_and_reject, run_clear, 1, 0, 1, 0, false},
    {"journal wrap", install_both, run_wrap, 2, 3, 3, 1, false},
};

static const scenario_t full = {"full slot", install_both, run_full_update, 2, 3, 3, 1, false};

static const char *geometry_names[] = {"2 KiB pages, 8-byte units", "4 KiB erases, 256-byte programs"};

int main(int argc, char **argv) {
  bool twice = argc > 1 && strcmp(argv[1], "--pairs") == 0;
  for (uint32_t geometry = 0; geometry < 2u; geometry++) {
    for (uint32_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
      static char sentence[120];
      uint32_t before = points;
      snprintf(sentence, sizeof sentence, "any cut of %s keeps the laws (%s)", scenarios[i].name,
               geometry_names[geometry]);
      TEST(sentence) {
        sweep(&scenarios[i], (flash_geometry_t)geometry, twice);
      }
      printf("# %u points\n", (unsigned)(points - before));
    }
    TEST("any cut of a full slot's update keeps the laws") {
      if (argc > 2) sweep(&full, (flash_geometry_t)geometry, false);
    }
  }
  printf("# %u cut points\n", (unsigned)points);
  return check_done();
}
