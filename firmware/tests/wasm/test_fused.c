/* What load time makes of a body (rewrite.c): the same results, traps at the same places and the same fuel as without
 * fused instructions, wherever a run is cut off. */
#include <string.h>

#include "../check.h"
#include "modules.h"
#include "wasm/limits.h"
#include "wasm/opcodes.h"

static module_t module;
static engine_t fused, plain;

/* Four numbers go in, the first comes out. Each sequence that is fused, with operands below it and in loops, and loads
 * and stores between them that trap sooner or later. */
static const uint8_t sequences[] = {
    0x41, 5,    0x03, 0x40,                                           /* an operand that stays, loop */
    0x20, 0,    0x20, 1,    0x6A, 0x21, 0,                            /* a += b */
    0x20, 0,    0x41, 7,    0x73, 0x21, 0,                            /* a ^= 7 */
    0x20, 0,    0x41, 0x40, 0x6B, 0x21, 0,                            /* a -= -64 */
    0x20, 0,    0x41, 9,    0x73, 0x21, 0x80, 0,                      /* a ^= 9, its index filled up */
    0x02, 0x40, 0x20, 0,    0x41, 0x10, 0x4B, 0x0D, 0x80, 0,    0x0B, /* a label filled up */
    0x20, 0,    0x20, 1,    0x6E, 0x1A,                               /* a / b, which may trap */
    0x20, 0,    0x41, 0xC0, 0x3E, 0x6B, 0x21, 2,                      /* c = a - 8000 */
    0x20, 0,    0x41, 0xC0, 0x41, 0x6C, 0x21, 2,                      /* c = a * -8000 */
    0x20, 2,    0x20, 0,    0x71,                                     /* (c & a) */
    0x41, 3,    0x74,                                                 /*   << 3 */
    0x41, 0x80, 0x80, 4,    0x72,                                     /*   | 65536 */
    0x20, 1,    0x75,                                                 /*   >> b */
    0x41, 0x83, 0x80, 0x80, 0x80, 0x00, 0x76,                         /*   >>> 3, filled up to five bytes */
    0x41, 0xFF, 0x00, 0x77,                                           /*   rotl 127 */
    0x41, 0xFF, 0xFF, 0xFF, 0xFF, 7,    0x73,                         /*   ^ 0x7FFFFFFF */
    0x41, 0x83, 0x80, 0x80, 0x00, 0x78,                               /*   rotr 3, filled up to four bytes */
    0x22, 3,    0x1A,                                                 /* d = that */
    0x41, 0xC0, 0x3E, 0x1A, 0x41, 0xFF, 0xFF, 0xFF, 0xFF, 7,    0x1A, /* constants alone */
    0x20, 3,    0x41, 0x80, 1,    0x6A, 0x22, 3,    0x1A,             /* d + 128 */
    0x20, 0,    0x41, 9,    0x71, 0x41, 0,    0x46, 0x04, 0x40,       /* if ((a & 9) == 0) */
    0x20, 3,    0x41, 1,    0x6A, 0x21, 3,                            /*   d++ */
    0x05,                                                             /* else */
    0x20, 3,    0x20, 1,    0x6B, 0x21, 3,                            /*   d -= b */
    0x0B, 0x20, 1,    0x20, 0,    0x48, 0x04, 0x7F, 0x20, 1,    0x05, /* if (b < a) b else */
    0x41, 2,    0x0B, 0x20, 3,    0x6A, 0x21, 3,                      /*   2; d += that */
    0x02, 0x40, 0x02, 0x40, 0x02, 0x40,                               /* three blocks */
    0x20, 3,    0x41, 0x10, 0x4B, 0x0D, 0,                            /* if (d > 16, unsigned) leave one */
    0x20, 1,    0x20, 0,    0x4C, 0x0D, 2,                            /* if (b <= a) leave all */
    0x20, 1,    0x41, 0xE8, 7,    0x4E, 0x0D, 1,    0x0B, 0x0B, 0x0B, /* if (b >= 1000) leave two */
    0x02, 0x7F, 0x20, 2,    0x20, 2,    0x20, 2,    0x20, 1,    0x47, 0x0D,
    0,                                                       /* takes c along, if c != b, and drops one */
    0x6A, 0x20, 0,    0x41, 3,    0x4D, 0x0D, 0,    0x0B,    /* else c + c */
    0x21, 2,                                                 /* c = that */
    0x20, 0,    0x41, 0xFF, 0xFF, 1,    0x71, 0x2D, 0,    0, /* a byte at a & 32767 */
    0x20, 0,    0x41, 0xFF, 0xFF, 0,    0x71, 0x20, 3,    0x36, 2,    0, /* a word at a & 16383: d */
    0x20, 3,    0x6A, 0x21, 3,                                           /* d += that byte */
    0x02, 0x40, 0x03, 0x40, 0x02, 0x40,          /* block, loop, block: only some are passed twice */
    0x20, 3,    0x41, 3,    0x71, 0x45, 0x0D, 2, /* leave all, if (d & 3) == 0 */
    0x20, 3,    0x41, 1,    0x76, 0x21, 3,    0x0C, 1,    0x0B, 0x0B, 0x0B, /* d >>>= 1, again */
    0x20, 1,    0x41, 1,    0x6B, 0x22, 1,    0x0D, 0,    0x0B,             /* again, while --b */
    0x20, 0,    0x6A,                                                       /* what stayed + a */
};

/* Opcodes that this must bring about. */
static const uint8_t wanted[] = {EP_OP_const16,
                                 EP_OP_const24,
                                 EP_OP_const32_of_4,
                                 EP_OP_const32,
                                 EP_OP_leave,
                                 EP_OP_blocks,
                                 EP_OP_locals_with,
                                 EP_OP_local_const_with,
                                 EP_OP_local_const16_with,
                                 EP_OP_locals_to,
                                 EP_OP_local_const_to,
                                 EP_OP_local_const16_to,
                                 EP_OP_local_with,
                                 EP_OP_const_with,
                                 EP_OP_const16_with,
                                 EP_OP_const32_with};

static bool differs(uint32_t at) {
  return fused.code[at] != module.bytes[at];
}

static void start(engine_t *engine, bool is_plain) {
  engine_start(engine);
  engine->host.plain = is_plain;
}

static void load_both(void) {
  CHECK_EQ(engine_load(&fused, &module), EP_WASM_OK);
  CHECK_EQ(engine_load(&plain, &module), EP_WASM_OK);
}

/* A call of either with the same fuel: what can be seen of both is the same. */
static void compare(int32_t fuel, uint32_t a, uint32_t b) {
  uint64_t one[4] = {a, b, 3, 4}, other[4] = {a, b, 3, 4};
  ep_wasm_set_fuel(&fused.instance, fuel);
  ep_wasm_set_fuel(&plain.instance, fuel);
  CHECK_EQ(ep_wasm_invoke(&fused.instance, 0, one), ep_wasm_invoke(&plain.instance, 0, other));
  CHECK_EQ(ep_wasm_fuel(&fused.instance), ep_wasm_fuel(&plain.instance));
  CHECK_EQ(fused.instance.error.offset, plain.instance.error.offset);
  CHECK_EQ(one[0], other[0]);
  CHECK(memcmp(fused.instance.memory, plain.instance.memory, fused.instance.memory_size) == 0);
}

static void test_same(void) {
  TEST("each sequence that can be fused is") {
    start(&fused, false);
    module_function(&module, I32 I32 I32 I32, I32, sequences, sizeof sequences, 1);
    CHECK_EQ(engine_load(&fused, &module), EP_WASM_OK);
    for (uint32_t i = 0; i < sizeof wanted; i++) {
      uint32_t found = 0;
      for (uint32_t at = 0; at < module.size; at++) found += differs(at) && fused.code[at] == wanted[i];
      CHECK(found > 0u);
    }
  }
  TEST("nothing but code is changed, and without fusing only what is rare") {
    uint32_t changed[2] = {0, 0};
    const uint32_t first = module.size - (uint32_t)sizeof sequences - 1u;
    start(&fused, false);
    start(&plain, true);
    load_both();
    for (uint32_t at = 0; at < module.size; at++) {
      if (at < first) CHECK(!differs(at) && plain.code[at] == module.bytes[at]);
      changed[0] += differs(at);
      changed[1] += plain.code[at] != module.bytes[at];
    }
    CHECK(changed[0] > 2u * changed[1] && changed[1] > 0u);
  }
  TEST("fused or not, a run that is cut off anywhere stops at the same place with the same fuel") {
    for (int32_t fuel = 0; fuel < 900; fuel++) {
      load_both();
      compare(fuel, 1000u, 12u);
    }
  }
  TEST("fused or not, a run has the same results, traps and memory") {
    for (uint32_t a = 0; a < 120u; a++) {
      load_both();
      compare(100000, a * 0x01234567u, a % 9u + 1u);
    }
  }
  TEST("fused or not, a sliced run has the same results, traps and memory") {
    for (uint32_t a = 0; a < 40u; a++) {
      load_both();
      ep_wasm_set_sliced(&fused.instance, true);
      compare(3000 + (int32_t)a * 37, a * 77u, 1000u);
    }
  }
}

static void test_refused(void) {
  static const uint8_t known[256] = {
#define EP_WASM_OPCODE(code, id, text, fuel, signature) [code] = 1,
#define EP_WASM_PREFIXED(code, id, text, fuel, signature)
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
      [EP_OP_prefix] = 1};
  TEST("opcodes that only load time may write are refused in a module, and so are all that are none") {
    uint32_t refused = 0;
    for (uint32_t opcode = 0; opcode < 256u; opcode++) {
      /* plenty of operands and bytes: what is refused is the opcode */
      const uint8_t body[] = {0x20, 0, 0x20, 0, 0x20, 0, (uint8_t)opcode, 0, 0, 0, 0, 0, 0, 0, 0};
      ep_wasm_result_t result;
      if (known[opcode] != 0u) continue;
      start(&fused, false);
      module_function(&module, I32, "", body, sizeof body, 1);
      result = engine_load(&fused, &module);
      CHECK(result == EP_WASM_MALFORMED || result == EP_WASM_UNSUPPORTED);
      CHECK_EQ(fused.error.offset, module.size - sizeof body - 1u + 6u);
      CHECK(strcmp(fused.error.detail, "unexpected end") != 0);
      refused++;
    }
    CHECK(refused > 70u);
  }
  TEST("code that has been loaded is no module any more") {
    start(&fused, false);
    module_function(&module, I32 I32 I32 I32, I32, sequences, sizeof sequences, 1);
    CHECK_EQ(engine_load(&fused, &module), EP_WASM_OK);
    CHECK(ep_wasm_load(&fused.instance, fused.code, module.size, &fused.limits, &fused.host, fused.arena,
                       sizeof fused.arena, &fused.error) != EP_WASM_OK);
  }
}

int main(void) {
  test_same();
  test_refused();
  return check_done();
}
