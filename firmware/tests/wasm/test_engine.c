/* The engine with the limits that boards have: each limit by its name, fuel, traps and where they happened, imports,
 * memory. What the instructions compute is the conformance tests' business. */
#include "check.h"
#include "modules.h"
#include "wasm/limits.h"

static engine_t engine;
static module_t module;

static void function(const char *params, const char *results, const uint8_t *body, uint32_t size, int pages) {
  engine_start(&engine);
  module_function(&module, params, results, body, size, pages);
}

#define FUNCTION(params, results, pages, ...)                                                                \
  do {                                                                                                       \
    const uint8_t body_[] = {__VA_ARGS__};                                                                   \
    function(params, results, body_, sizeof body_, pages);                                                   \
  } while (0)

static void check_limit(const char *name) {
  CHECK_EQ(engine_load(&engine, &module), EP_WASM_LIMIT);
  CHECK(strcmp(engine.error.detail, name) == 0);
}

/* (param i32): counts it down to 0 */
#define COUNT_DOWN 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6B, 0x22, 0, 0x0D, 0, 0x0B

/* ---- limits ---- */

static uint8_t nested[3 * 4096];

static void nest(uint32_t depth) {
  for (uint32_t i = 0; i < depth; i++) memcpy(nested + 2u * i, "\x02\x40", 2);
  memset(nested + 2u * depth, 0x0B, depth);
  function("", "", nested, 3u * depth, -1);
}

static void branch(uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    memcpy(nested + 5u * i, "\x41\0\x0D\0\x01", 5); /* i32.const 0, br_if 0, nop */
  function("", "", nested, 5u * count, -1);
}

static void test_limits(void) {
  TEST("128 blocks nest, one more is refused by the limit's name") {
    nest(EP_WASM_MAX_NESTING);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    nest(EP_WASM_MAX_NESTING + 1u);
    check_limit("nesting");
  }
  TEST("2,048 branches have room in the side table, one more is refused by the limit's name") {
    branch(EP_WASM_MAX_BRANCHES);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, (uint64_t[1]){0}), EP_WASM_OK);
    branch(EP_WASM_MAX_BRANCHES + 1u);
    check_limit("side table");
  }
  TEST("256 locals are taken, one more is refused by the limit's name") {
    static const uint8_t types[] = {1, 0x60, 0, 0};
    uint8_t code[] = {1, 5, 1, 0x80, 2, 0x7F, 0x0B}; /* 1 group of 256 i32 */
    for (uint32_t extra = 0; extra < 2u; extra++) {
      engine_start(&engine);
      module_start(&module);
      module_section(&module, 1, types, sizeof types);
      module_section(&module, 3, (const uint8_t *)"\1\0", 2);
      code[3] = (uint8_t)(0x80u + extra);
      module_section(&module, 10, code, sizeof code);
      if (extra == 0u)
        CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
      else
        check_limit("locals");
    }
  }
  TEST("a module of 13.5 KiB is taken, a byte more is refused by the limit's name") {
    static uint8_t custom[EP_WASM_MAX_MODULE];
    for (uint32_t extra = 0; extra < 2u; extra++) {
      engine_start(&engine);
      module_start(&module);
      memset(custom, 0, sizeof custom);
      module_section(&module, 0, custom, EP_WASM_MAX_MODULE - 8u - 3u + extra);
      CHECK_EQ(module.size, EP_WASM_MAX_MODULE + extra);
      if (extra == 0u)
        CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
      else
        check_limit("module size");
    }
  }
  TEST("an arena that is too small is refused by name, whatever its size") {
    FUNCTION(I32, "", 1, COUNT_DOWN);
    for (uint32_t size = 0; size < 16384u + 256u * 8u; size += 104u) {
      ep_wasm_result_t result;
      memcpy(engine.code, module.bytes, module.size);
      result = ep_wasm_load(&engine.instance, engine.code, module.size, &engine.limits, &engine.host,
                            engine.arena, size, &engine.error);
      CHECK_EQ(result, EP_WASM_LIMIT);
      CHECK(strcmp(engine.error.detail, "arena") == 0);
    }
  }
  TEST("a call that needs more stack than there is traps, and so does one too deep") {
    FUNCTION("", "", -1, 0x10, 0); /* calls itself */
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, (uint64_t[1]){0}), EP_WASM_TRAP_STACK);
    engine.limits.stack_slots = 4;
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, (uint64_t[1]){0}), EP_WASM_TRAP_STACK);
    engine.limits.stack_slots = 0;
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, (uint64_t[1]){0}), EP_WASM_TRAP_STACK);
  }
}

/* ---- memory ---- */

static void test_memory(void) {
  TEST("memory.size tells the declared pages, memory.grow of more than 0 is refused") {
    uint64_t value = 0;
    FUNCTION(I32, I32, 3, 0x20, 0, 0x40, 0);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_OK);
    CHECK_EQ(value, 3);
    value = 1;
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_OK);
    CHECK_EQ(value, 0xFFFFFFFFu);
  }
  TEST("accesses up to the limit of the memory work at every size and alignment, beyond it they trap") {
    static const uint8_t loads[] = {0x2D, 0x2F, 0x28, 0x29}; /* i32.load8_u, load16_u, i32.load, i64.load */
    for (uint32_t i = 0; i < 4u; i++) {
      const uint32_t size = 1u << i;
      const uint8_t body[] = {0x20, 0, loads[i], 0, 0, 0x1A};
      function(I32, "", body, sizeof body, 1);
      engine.limits.memory_bytes = 1000;
      CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
      for (uint64_t address = 980; address < 1010; address++) {
        uint64_t value = address;
        CHECK_EQ(engine_call(&engine, &value), address + size <= 1000u ? EP_WASM_OK : EP_WASM_TRAP_MEMORY);
      }
    }
  }
  TEST("a data segment beyond the memory limit is over the limit, beyond the declared pages a trap") {
    static const uint8_t inside[] = {1, 0, 0x41, 0x80, 0x80, 1, 0x0B, 1, 'x'};  /* at 16,384 */
    static const uint8_t outside[] = {1, 0, 0x41, 0x80, 0x80, 4, 0x0B, 1, 'x'}; /* at 65,536 */
    engine_start(&engine);
    module_start(&module);
    module_section(&module, 5, (const uint8_t *)"\1\0\1", 3);
    module_section(&module, 11, inside, sizeof inside);
    check_limit("memory: data segment");
    module_start(&module);
    module_section(&module, 5, (const uint8_t *)"\1\0\1", 3);
    module_section(&module, 11, outside, sizeof outside);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_TRAP_MEMORY);
  }
  TEST("the host sees memory up to its limit and not beyond") {
    FUNCTION("", "", 1, 0x01);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK(ep_wasm_memory(&engine.instance, 0, 16384) != NULL);
    CHECK(ep_wasm_memory(&engine.instance, 16384, 0) != NULL);
    CHECK(ep_wasm_memory(&engine.instance, 16384, 1) == NULL);
    CHECK(ep_wasm_memory(&engine.instance, 0xFFFFFFFFu, 2) == NULL);
    FUNCTION("", "", -1, 0x01);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK(ep_wasm_memory(&engine.instance, 0, 0) == NULL);
  }
}

/* ---- fuel ---- */

static int32_t fuel_of(uint64_t rounds, bool sliced, int32_t fuel, ep_wasm_result_t *result) {
  uint64_t value = rounds;
  ep_wasm_set_sliced(&engine.instance, sliced);
  ep_wasm_set_fuel(&engine.instance, fuel);
  *result = ep_wasm_invoke(&engine.instance, 0, &value);
  return ep_wasm_fuel(&engine.instance);
}

static void test_fuel(void) {
  ep_wasm_result_t result;
  TEST("a run takes the fuel that its instructions weigh, exactly") {
    FUNCTION(I32, "", -1, COUNT_DOWN);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    /* loop 1; each round local.get, i32.const, i32.sub, local.tee 1 each and br_if 2; end, end and return 1 + 1 + 2 */
    CHECK_EQ(fuel_of(1, false, 1000, &result), 1000 - 1 - 6 - 4);
    CHECK_EQ(result, EP_WASM_OK);
    CHECK_EQ(fuel_of(10, false, 1000, &result), 1000 - 1 - 60 - 4);
  }
  TEST("a run in slices takes the same fuel and ends the same way, and tells of each slice") {
    FUNCTION(I32, "", -1, COUNT_DOWN);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    for (int32_t fuel = 5950; fuel < 6050; fuel++) {
      ep_wasm_result_t sliced;
      int32_t left = fuel_of(1000, false, fuel, &result);
      CHECK_EQ(fuel_of(1000, true, fuel, &sliced), left);
      CHECK_EQ(sliced, result);
    }
    engine.fuel_steps = 0;
    CHECK_EQ(fuel_of(10000, true, 100000, &result), 100000 - 60005);
    CHECK_EQ(engine.fuel_steps, 60005 / EP_WASM_SLICE);
  }
  TEST("without fuel a loop ends as a trap in the loop, at most a round late, and the instance goes on "
       "afterwards") {
    FUNCTION(I32, "", -1, COUNT_DOWN);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK(fuel_of(0, false, 5000, &result) >= -6); /* 2^32 rounds */
    CHECK_EQ(result, EP_WASM_TRAP_FUEL);
    CHECK(strcmp(ep_wasm_last_error(&engine.instance)->detail, "fuel exhausted") == 0);
    CHECK_EQ(fuel_of(3, false, 5000, &result), 5000 - 1 - 18 - 4);
    CHECK_EQ(result, EP_WASM_OK);
  }
  TEST("a call without any fuel traps before it does anything") {
    FUNCTION(I32, "", -1, COUNT_DOWN);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    (void)fuel_of(1, false, -1, &result);
    CHECK_EQ(result, EP_WASM_TRAP_FUEL);
    (void)fuel_of(1, true, -1, &result);
    CHECK_EQ(result, EP_WASM_TRAP_FUEL);
  }
  TEST("the host hears of each 64 bytes validated") {
    nest(EP_WASM_MAX_NESTING);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK(engine.validate_steps >= 3u * EP_WASM_MAX_NESTING / 64u);
  }
}

/* ---- traps, imports, exports ---- */

static uint64_t seen[3];

static ep_wasm_result_t take_three(ep_wasm_instance_t *instance, uint64_t *args) {
  CHECK(ep_wasm_context(instance) == &engine);
  memcpy(seen, args, sizeof seen);
  ep_wasm_charge(instance, 100);
  args[0] = 77;
  return seen[0] == 13u ? EP_WASM_TRAP_HOST : EP_WASM_OK;
}

/* imports m.three (i32 i64 f32) -> i32, exports f (i32) -> i32, which calls it with (argument, -1, 1.0) and adds 1 */
static void importing(const char *type) {
  static const uint8_t types[] = {2, 0x60, 3, 0x7F, 0x7E, 0x7D, 1, 0x7F, 0x60, 1, 0x7F, 1, 0x7F};
  static const uint8_t imports[] = {1, 1, 'm', 5, 't', 'h', 'r', 'e', 'e', 0, 0};
  static const uint8_t code[] = {1, 16,   0,    0x20, 0, 0x42, 0x7F, 0x43, 0,
                                 0, 0x80, 0x3F, 0x10, 0, 0x41, 1,    0x6A, 0x0B};
  static ep_wasm_import_t offered[1];
  engine_start(&engine);
  offered[0] = (ep_wasm_import_t){"m", "three", type, take_three};
  engine.host.imports = offered;
  engine.host.import_count = type == NULL ? 0u : 1u;
  module_start(&module);
  module_section(&module, 1, types, sizeof types);
  module_section(&module, 2, imports, sizeof imports);
  module_section(&module, 3, (const uint8_t *)"\1\1", 2);
  module_section(&module, 7, (const uint8_t *)"\2\1f\0\1\1g\0\0", 9);
  module_section(&module, 10, code, sizeof code);
}

static void test_imports(void) {
  TEST("a host function gets its arguments as raw bits, and its result comes back") {
    uint64_t value = 5;
    importing("(iIf)i");
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_OK);
    CHECK_EQ(value, 78);
    CHECK_EQ((uint32_t)seen[0], 5);
    CHECK_EQ(seen[1], UINT64_MAX);
    CHECK_EQ((uint32_t)seen[2], 0x3F800000u);
  }
  TEST("what a host function charges is taken from the fuel") {
    uint64_t value = 5;
    importing("(iIf)i");
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_OK);
    CHECK_EQ(ep_wasm_fuel(&engine.instance), 1000000 - 100 - 4 - 8 - 2 - 3);
  }
  TEST("a host function's trap ends the call at the instruction that called it") {
    uint64_t value = 13;
    importing("(iIf)i");
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_TRAP_HOST);
    CHECK_EQ(ep_wasm_last_error(&engine.instance)->function, 1);
    CHECK_EQ(module.bytes[ep_wasm_last_error(&engine.instance)->offset], 0x10);
  }
  TEST("an import that is exported again can be called from outside") {
    uint64_t values[3] = {1, 2, 3};
    importing("(iIf)i");
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(
        ep_wasm_invoke(&engine.instance, (uint32_t)ep_wasm_find_export(&engine.instance, "g", NULL), values),
        EP_WASM_OK);
    CHECK_EQ(values[0], 77);
  }
  TEST("an import that the host lacks, or has with another type, is refused by its name") {
    importing(NULL);
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_UNLINKABLE);
    CHECK(strcmp(engine.error.detail, "m.three") == 0);
    importing("(iIF)i");
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_UNLINKABLE);
    CHECK(strcmp(engine.error.detail, "m.three: type") == 0);
  }
  TEST("exports are found by name and type") {
    importing("(iIf)i");
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "f", "(i)i"), 1);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "f", NULL), 1);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "f", "(i)"), -1);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "f", "(ii)i"), -1);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "f", "()i"), -1);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "ff", NULL), -1);
    CHECK_EQ(ep_wasm_find_export(&engine.instance, "", NULL), -1);
  }
  TEST("a trap says in which function and at which byte, and the instance goes on") {
    uint64_t value = 1;
    FUNCTION(I32, "", 1, 0x20, 0, 0x04, 0x40, 0x41, 0x7F, 0x28, 2, 4, 0x1A,
             0x0B); /* if argument: i32.load at -1 + 4 */
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_TRAP_MEMORY);
    CHECK_EQ(module.bytes[ep_wasm_last_error(&engine.instance)->offset], 0x28);
    CHECK(strcmp(ep_wasm_last_error(&engine.instance)->detail, "out of bounds memory access") == 0);
    value = 0;
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_OK);
  }
  TEST("a custom section is found in any bytes") {
    static const uint8_t contents[] = {8, 'e', 'd', 'g', 'e', 'p', 'l', 'u', 'g', 1, 2, 3};
    const uint8_t *found;
    uint32_t size = 0;
    FUNCTION("", "", -1, 0x01);
    CHECK(ep_wasm_custom_section(module.bytes, module.size, "edgeplug", &size) == NULL);
    module_section(&module, 0, (const uint8_t *)"\4edge\5", 6);
    module_section(&module, 0, contents, sizeof contents);
    found = ep_wasm_custom_section(module.bytes, module.size, "edgeplug", &size);
    CHECK(found == module.bytes + module.size - 3u);
    CHECK_EQ(size, 3);
    for (uint32_t cut = 0; cut < module.size; cut++)
      CHECK(ep_wasm_custom_section(module.bytes, cut, "edgeplug", &size) == NULL);
  }
}

/* ---- NaNs and garbage ---- */

static void test_results(void) {
  TEST("a 32-bit result has nothing of what lay above it") {
    uint64_t value = 0;
    FUNCTION("", I32, -1, 0x42, 0x7F, 0xA7); /* i64.const -1, i32.wrap_i64 */
    CHECK_EQ(engine_load(&engine, &module), EP_WASM_OK);
    CHECK_EQ(engine_call(&engine, &value), EP_WASM_OK);
    CHECK_EQ(value, 0xFFFFFFFFu);
  }
}

int main(void) {
  test_limits();
  test_memory();
  test_fuel();
  test_imports();
  test_results();
  return check_done();
}
