/* The table of marks.h, pair by pair, and what three readings, a completion and the journal make of it. */
#include "check.h"
#include "errors.h"
#include "world.h"

typedef enum { BLANK, TORN, UNREADABLE, VALID, UNIT_STATES } unit_t;

static world_t world;

static uint32_t mark_address(uint32_t mark, uint32_t copy) {
  return EP_RECORD_PAYLOAD_MAX + EP_RECORD_MARK_STAGED_OFFSET + 16u * mark + 8u * copy;
}

/* Puts one copy of a mark of slot A into a state. */
static void put(uint32_t mark, uint32_t copy, unit_t state) {
  static const uint8_t torn[8] = {0x01, 0xFF, 0x37, 0xFF, 0x12, 0x34, 0x56, 0x78};
  flash_t *flash = &world.flash;
  uint32_t at = mark_address(mark, copy);
  flash_operation_t operation = {false, at, 8, torn};
  if (state == VALID) {
    /* The engine itself writes it, into a copy that is then moved to its place. */
    static flash_t scratch;
    const ep_journal_t journal = world.engine.journal;
    scratch = *flash;
    memset(scratch.bytes + mark_address(mark, 0), 0xFF, 16);
    memset(scratch.flags + mark_address(mark, 0), 0, 16);
    flash_use(&scratch);
    CHECK_EQ(ep_marks_set(&world.engine.journal, 0, 7, mark, mark == EP_MARK_REJECTED ? 9 : 0), EP_OK);
    flash_use(flash);
    world.engine.journal = journal;
    operation.data = scratch.bytes + at;
    flash_tear(flash, &operation, CUT_AFTER);
  } else if (state == TORN) {
    flash_tear(flash, &operation, CUT_AFTER);
  } else if (state == UNREADABLE) {
    flash_break_unit(flash, at);
  }
}

static bool holds(uint32_t mark) {
  ep_marks_t marks;
  ep_marks_read(&world.engine.journal, 0, 7, &marks);
  return (marks.set >> mark & 1u) != 0u;
}

static void settle(void) {
  ep_marks_t marks;
  ep_marks_read(&world.engine.journal, 0, 7, &marks);
  ep_marks_settle(&world.engine.journal, 0, 7, &marks);
}

static bool is_torn(unit_t state) {
  return state == TORN || state == UNREADABLE;
}

/* One more boot's worth of journal: what it kept must come from flash. */
static void mount_again(void) {
  ep_journal_mount(&world.engine.journal);
}

static void run_in(flash_geometry_t geometry) {
  static const char *const names[] = {"STAGED",      "TRIAL",     "second TRIAL",
                                      "third TRIAL", "CONFIRMED", "REJECTED"};
  for (uint32_t mark = 0; mark < EP_MARK_COUNT; mark++) {
    static char sentence[120];
    snprintf(sentence, sizeof sentence,
             "%s: each pair of blank, torn, unreadable and valid has the outcome of the table", names[mark]);
    TEST(sentence) {
      bool torn_holds = mark != EP_MARK_STAGED && mark != EP_MARK_CONFIRMED;
      for (uint32_t pair = 0; pair < UNIT_STATES * UNIT_STATES; pair++) {
        unit_t first = (unit_t)(pair / UNIT_STATES), second = (unit_t)(pair % UNIT_STATES);
        bool expected =
            first == VALID || second == VALID || (torn_holds && (is_torn(first) || is_torn(second)));
        uint32_t operations;
        world_init(&world, geometry, pair + 1);
        world_boot(&world, EP_RESET_POWER_ON);
        put(mark, 0, first);
        put(mark, 1, second);
        CHECK_EQ(holds(mark), expected);
        settle();
        CHECK_EQ(holds(mark), expected);
        mount_again();
        CHECK_EQ(holds(mark), expected);
        if (expected) {
          /* Whatever becomes of one copy now, the mark holds. */
          flash_break_unit(&world.flash, mark_address(mark, 0));
          CHECK(holds(mark));
        } else if (is_torn(first) || is_torn(second)) {
          /* A torn copy that becomes readable later changes nothing any more. */
          memset(world.flash.bytes + mark_address(mark, 0), 0xFF, 16);
          memset(world.flash.flags + mark_address(mark, 0), 0, 16);
          put(mark, 0, VALID);
          CHECK(!holds(mark));
        }
        operations = world.flash.operations;
        settle();
        settle();
        CHECK(world.flash.operations <= operations + 8u);
        operations = world.flash.operations;
        settle();
        CHECK_EQ(world.flash.operations, operations);
        CHECK_EQ(world.flash.violations, 0);
      }
    }
  }
  TEST("a mark of another swap number is no mark") {
    ep_marks_t marks;
    world_init(&world, geometry, 1);
    world_boot(&world, EP_RESET_POWER_ON);
    put(EP_MARK_CONFIRMED, 0, VALID);
    put(EP_MARK_CONFIRMED, 1, VALID);
    ep_marks_read(&world.engine.journal, 0, 8, &marks);
    CHECK_EQ(marks.set, 0);
  }
  TEST("a mark whose units are both spoiled is still set, in the journal") {
    world_init(&world, geometry, 1);
    world_boot(&world, EP_RESET_POWER_ON);
    put(EP_MARK_CONFIRMED, 0, TORN);
    put(EP_MARK_CONFIRMED, 1, TORN);
    settle();
    CHECK(!holds(EP_MARK_CONFIRMED));
    CHECK_EQ(ep_marks_set(&world.engine.journal, 0, 7, EP_MARK_CONFIRMED, 0), EP_OK);
    CHECK(holds(EP_MARK_CONFIRMED));
    mount_again();
    CHECK(holds(EP_MARK_CONFIRMED));
  }
}

int main(void) {
  printf("# 2 KiB pages, 8-byte units\n");
  run_in(FLASH_L5);
  printf("# 4 KiB erases, 256-byte programs\n");
  run_in(FLASH_NOR);
  return check_done();
}
