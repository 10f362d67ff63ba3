#include "generate.h"

#include <string.h>

#include "fuzz.h"
#include "wasm/opcodes.h"
#include "wasm/signature_words.h"
#include "wasm/types.h"

/* The module's parts that don't depend on the input. Types by number: what is called, what blocks take and give. */
static const char *const types[] = {"()", "(i)i", "(if)f", "(FI)F", "()iI", "(iI)", "(I)Ii", "(fi)if"};
#define TYPES     8u
#define IMPORTS   4u /* input, output, now_us, log: types 8 to 11 */
#define FUNCTIONS 4u
#define GLOBALS   5u /* i32, i64, f32, f64, mutable; i32 constant */
#define DATA      2u /* active, passive */
#define ELEMENTS  2u
#define TABLE     6u
#define BODY      1500u
#define DEPTH     24u
#define KEEPERS   5u /* the last locals of each function: i32, i64, f32, f64, f64 */

static const uint8_t value_types[] = {EP_WASM_I32, EP_WASM_I64, EP_WASM_F32, EP_WASM_F64};

typedef struct {
  uint8_t opcode;
  uint8_t type; /* into `types` */
  uint32_t height;
} block_t;

typedef struct {
  fuzz_input_t input;
  uint8_t *out;
  uint32_t at;
  uint32_t stop; /* no new instruction from here on */
  uint8_t stack[600];
  uint32_t height;
  uint8_t locals[12];
  uint32_t local_count;
  block_t blocks[DEPTH];
  uint32_t depth;
} generator_t;

/* ---- bytes ---------------------------------------------------------------------------------------------------------- */

static void put(generator_t *g, uint32_t byte) {
  g->out[g->at++] = (uint8_t)byte;
}

static void put_leb(generator_t *g, uint32_t value) {
  for (; value > 0x7Fu; value >>= 7) put(g, value | 0x80u);
  put(g, value);
}

/* Now and then a longer encoding of the same number, which is as good. */
static void put_index(generator_t *g, uint32_t value) {
  if (g->input.at < g->input.end && (*g->input.at & 0xF8u) == 0xA8u && value < 0x80u) {
    put(g, value | 0x80u);
    put(g, 0x80);
    value = 0;
  }
  put_leb(g, value);
}

static void put_signed(generator_t *g, int64_t value) {
  for (;;) {
    uint32_t byte = (uint32_t)value & 0x7Fu;
    value >>= 7;
    if ((value == 0 && (byte & 0x40u) == 0u) || (value == -1 && (byte & 0x40u) != 0u)) {
      put(g, byte);
      return;
    }
    put(g, byte | 0x80u);
  }
}

/* A size takes two bytes and is filled in later. */
static uint32_t open_size(generator_t *g) {
  g->at += 2u;
  return g->at;
}

static void close_size(generator_t *g, uint32_t start) {
  uint32_t size = g->at - start;
  g->out[start - 2u] = (uint8_t)(size | 0x80u);
  g->out[start - 1u] = (uint8_t)(size >> 7);
}

/* ---- types ---------------------------------------------------------------------------------------------------------- */

static uint8_t type_of(char letter) {
  return letter == 'i'   ? EP_WASM_I32
         : letter == 'I' ? EP_WASM_I64
         : letter == 'f' ? EP_WASM_F32
                         : EP_WASM_F64;
}

static uint32_t list(const char *text, bool results, uint8_t out[4]) {
  const char *from = results ? strchr(text, ')') + 1 : text + 1;
  uint32_t count = 0;
  while (from[count] != '\0' && from[count] != ')') {
    out[count] = type_of(from[count]);
    count++;
  }
  return count;
}

static void put_type(generator_t *g, const char *text) {
  uint8_t values[4];
  put(g, 0x60);
  for (uint32_t results = 0; results < 2u; results++) {
    uint32_t count = list(text, results != 0u, values);
    put(g, count);
    for (uint32_t i = 0; i < count; i++) put(g, values[i]);
  }
}

/* ---- the operand stack ---------------------------------------------------------------------------------------------- */

static uint32_t base(const generator_t *g) {
  return g->blocks[g->depth - 1u].height;
}

static void push(generator_t *g, uint8_t type) {
  g->stack[g->height++] = type;
}

static void put_constant(generator_t *g, uint8_t type) {
  static const uint64_t odd[] = {
      0,           1,           0xFFFFFFFFu,         0x80000000u,         0x7FFFFFFFu,
      0x7FC00001u, 0x7FA00000u, 0x7FF0000000000001u, 0x8000000000000000u, 0x3FF0000000000000u,
      0x4F000000u, 0xCF000001u, 0x43E0000000000000u, 0x7F800000u,         0xFFFFFFFFFFFFFFFFu,
      64};
  uint32_t how = fuzz_u8(&g->input);
  uint64_t value = how < 16u ? odd[how] : how < 0xC0u ? how - 16u : fuzz_u32(&g->input) * 0x100000001u;
  put(g, EP_OP_i32_const + (EP_WASM_I32 - type));
  switch (type) {
  case EP_WASM_I32: put_signed(g, (int32_t)value); break;
  case EP_WASM_I64: put_signed(g, (int64_t)value); break;
  default:
    for (uint32_t i = 0; i < (type == EP_WASM_F32 ? 4u : 8u); i++) put(g, (uint8_t)(value >> 8u * i));
  }
  push(g, type);
}

/* Sees to it that `count` operands of these types are on top: those that are there, or constants. */
static void need(generator_t *g, const uint8_t *values, uint32_t count) {
  uint32_t there = count;
  for (; there > 0u; there--) {
    if (g->height - base(g) >= there && memcmp(g->stack + g->height - there, values, there) == 0) break;
  }
  for (; there < count; there++) put_constant(g, values[there]);
}

static void take(generator_t *g, const uint8_t *values, uint32_t count) {
  need(g, values, count);
  g->height -= count;
}

static void give(generator_t *g, const uint8_t *values, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) push(g, values[i]);
}

/* A number: a constant, or an operation on locals and constants as rewrite.c fuses it. */
static void put_number(generator_t *g) {
  static const uint8_t operations[] = {EP_OP_i32_eq,   EP_OP_i32_ne,   EP_OP_i32_lt_s,  EP_OP_i32_gt_u,
                                       EP_OP_i32_le_s, EP_OP_i32_ge_u, EP_OP_i32_add,   EP_OP_i32_sub,
                                       EP_OP_i32_mul,  EP_OP_i32_and,  EP_OP_i32_shr_s, EP_OP_i32_rotl};
  uint32_t how = fuzz_u8(&g->input), keeper = g->local_count - KEEPERS; /* the i32 */
  if (how < 0x60u) {
    put_constant(g, EP_WASM_I32);
    return;
  }
  put(g, EP_OP_local_get);
  put_index(g, keeper);
  push(g, EP_WASM_I32);
  if ((how & 1u) != 0u) {
    put(g, EP_OP_local_get);
    put_index(g, keeper);
    push(g, EP_WASM_I32);
  } else {
    put_constant(g, EP_WASM_I32);
  }
  put(g, operations[(how >> 1) % sizeof operations]);
  g->height--;
}

/* ---- blocks --------------------------------------------------------------------------------------------------------- */

/* Leaves just `values` above the block's height. One that is on top goes round the others through a local. */
static void settle(generator_t *g, const uint8_t *values, uint32_t count) {
  uint32_t keeper = g->local_count - KEEPERS;
  bool keep = count == 1u && g->height > base(g) && g->stack[g->height - 1u] == values[0];
  if (g->height - base(g) == count && memcmp(g->stack + base(g), values, count) == 0) return;
  if (keep) {
    keeper += EP_WASM_I32 - values[0];
    put(g, EP_OP_local_set);
    put(g, keeper);
    g->height--;
  }
  while (g->height > base(g)) {
    put(g, EP_OP_drop);
    g->height--;
  }
  if (keep) {
    put(g, EP_OP_local_get);
    put(g, keeper);
    push(g, values[0]);
  }
  need(g, values, count);
}

static void open_block(generator_t *g, uint32_t opcode, uint32_t type) {
  uint8_t values[4];
  uint32_t count = list(types[type], false, values);
  if (opcode == EP_OP_if) {
    /* the condition lies above the parameters */
    need(g, values, count);
    put_number(g);
    g->height--;
  } else {
    need(g, values, count);
  }
  put(g, opcode);
  if (type == 0u) {
    put(g, 0x40);
  } else {
    put_index(g, type);
  }
  g->blocks[g->depth++] = (block_t){(uint8_t)opcode, (uint8_t)type, g->height - count};
}

static void put_else(generator_t *g) {
  block_t *block = &g->blocks[g->depth - 1u];
  uint8_t values[4];
  settle(g, values, list(types[block->type], true, values));
  put(g, EP_OP_else);
  block->opcode = EP_OP_else;
  g->height = block->height;
  give(g, values, list(types[block->type], false, values));
}

static void close_block(generator_t *g) {
  block_t *block = &g->blocks[g->depth - 1u];
  uint8_t values[4];
  uint32_t count;
  if (block->opcode == EP_OP_if) put_else(g); /* types of parameters and results differ */
  count = list(types[block->type], true, values);
  settle(g, values, count);
  put(g, EP_OP_end);
  g->depth--;
  g->height = block->height;
  give(g, values, count);
}

/* What a branch to `label` takes along. */
static uint32_t label_values(const generator_t *g, uint32_t label, uint8_t values[4]) {
  const block_t *block = &g->blocks[g->depth - 1u - label];
  return list(types[block->type], block->opcode != EP_OP_loop, values);
}

/* Behind a branch nothing is left of the operands, and what follows is never run: validated all the same. */
static void never(generator_t *g) {
  g->height = base(g);
}

static void put_br_table(generator_t *g) {
  uint8_t values[4], others[4];
  uint32_t wanted = fuzz_u8(&g->input) % 5u, label = fuzz_u8(&g->input) % g->depth;
  uint32_t count = label_values(g, label, values);
  need(g, values, count);
  put_constant(g, EP_WASM_I32);
  put(g, EP_OP_br_table);
  put_leb(g, wanted);
  for (uint32_t i = 0; i < wanted; i++) {
    uint32_t other = fuzz_u8(&g->input) % g->depth;
    bool same = label_values(g, other, others) == count && memcmp(values, others, count) == 0;
    put_index(g, same ? other : label);
  }
  put_index(g, label);
  never(g);
}

static void put_branch(generator_t *g, uint32_t opcode) {
  uint8_t values[4];
  uint32_t label = fuzz_u8(&g->input) % g->depth, count;
  if (opcode == EP_OP_return) label = g->depth - 1u;
  count = label_values(g, label, values);
  need(g, values, count);
  if (opcode == EP_OP_br_if) put_number(g), g->height--;
  put(g, opcode);
  if (opcode != EP_OP_return) put_index(g, label);
  if (opcode != EP_OP_br_if) never(g);
}

/* ---- other instructions --------------------------------------------------------------------------------------------- */

static const char *const import_types[IMPORTS] = {"(i)f", "(if)", "()I", "(ii)"};

static void put_call(generator_t *g, bool indirect) {
  uint8_t values[4];
  uint32_t which = fuzz_u8(&g->input);
  uint32_t function = which % (IMPORTS + FUNCTIONS), type = which % TYPES;
  const char *text = indirect             ? types[type]
                     : function < IMPORTS ? import_types[function]
                                          : types[function - IMPORTS];
  uint32_t count = list(text, false, values);
  need(g, values, count);
  if (indirect) put_constant(g, EP_WASM_I32), g->height--;
  g->height -= count;
  put(g, indirect ? EP_OP_call_indirect : EP_OP_call);
  put_index(g, indirect ? type : function);
  if (indirect) put(g, 0);
  give(g, values, list(text, true, values));
}

static void put_local(generator_t *g, uint32_t opcode) {
  uint32_t index = fuzz_u8(&g->input) % g->local_count;
  if (opcode != EP_OP_local_get) take(g, &g->locals[index], 1);
  put(g, opcode);
  put_index(g, index);
  if (opcode != EP_OP_local_set) push(g, g->locals[index]);
}

static void put_global(generator_t *g, uint32_t opcode) {
  uint32_t index = fuzz_u8(&g->input) % (opcode == EP_OP_global_get ? GLOBALS : 4u);
  uint8_t type = value_types[index % 4u];
  if (opcode == EP_OP_global_set) take(g, &type, 1);
  put(g, opcode);
  put_index(g, index);
  if (opcode == EP_OP_global_get) push(g, type);
}

static void put_access(generator_t *g, uint32_t opcode, uint32_t signature) {
  const uint8_t value = value_types[signature & 3u], values[] = {EP_WASM_I32, value};
  bool store = (signature & EP_SIG_CLASS) == EP_SIG_STORE;
  uint32_t how = fuzz_u8(&g->input);
  take(g, values, store ? 2u : 1u);
  put(g, opcode);
  put_index(g, how % ((signature >> 2 & 3u) + 1u));
  put_index(g, how < 0x20u ? 1000u + how : how < 0x40u ? 0xFFFFFFE0u + how : how & 0x3Fu);
  if (!store) push(g, value);
}

static void put_numeric(generator_t *g, uint32_t opcode, uint32_t signature) {
  const uint8_t operand = value_types[signature >> 2 & 3u], values[] = {operand, operand};
  take(g, values, (signature & EP_SIG_BINARY_BIT) != 0u ? 2u : 1u);
  if (opcode >= 0x100u) put(g, EP_OP_prefix);
  put(g, opcode & 0xFFu);
  push(g, value_types[signature & 3u]);
}

static void put_select(generator_t *g) {
  uint8_t type = g->height > base(g) ? g->stack[g->height - 1u] : EP_WASM_F64;
  const uint8_t values[] = {type, type, EP_WASM_I32};
  take(g, values, 3);
  put(g, EP_OP_select);
  push(g, type);
}

static const struct {
  uint16_t opcode;
  uint8_t signature;
} instructions[] = {
#define EP_WASM_OPCODE(code, id, text, fuel, signature)   {code, signature},
#define EP_WASM_PREFIXED(code, id, text, fuel, signature) {0x100 + code, signature},
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
};
#define INSTRUCTIONS (sizeof instructions / sizeof instructions[0])

/* Bulk instructions: their immediates, and three operands but for the drops. */
static void put_bulk(generator_t *g, uint32_t opcode) {
  static const uint8_t three[] = {EP_WASM_I32, EP_WASM_I32, EP_WASM_I32};
  uint32_t segment = fuzz_u8(&g->input) & 1u;
  bool drops = opcode == EP_OP_data_drop || opcode == EP_OP_elem_drop;
  if (!drops) take(g, three, 3);
  put(g, EP_OP_prefix);
  put_index(g, opcode - 0x100u);
  if (drops || opcode == EP_OP_memory_init || opcode == EP_OP_table_init) put_index(g, segment);
  if (drops) return;
  put(g, 0);
  if (opcode == EP_OP_memory_copy || opcode == EP_OP_table_copy) put(g, 0);
}

static void put_special(generator_t *g, uint32_t opcode) {
  static const uint8_t number = EP_WASM_I32;
  switch (opcode) {
  case EP_OP_unreachable:
    put(g, opcode);
    never(g);
    break;
  case EP_OP_nop:
    put(g, opcode);
    put_number(g);
    if ((fuzz_u8(&g->input) & 1u) == 0u) break;
    put(g, EP_OP_local_set);
    put_index(g, g->local_count - KEEPERS);
    g->height--;
    break;
  case EP_OP_block:
  case EP_OP_loop:
  case EP_OP_if:
    if (g->depth < DEPTH) open_block(g, opcode, fuzz_u8(&g->input) % TYPES);
    break;
  case EP_OP_else:
    if (g->blocks[g->depth - 1u].opcode == EP_OP_if) put_else(g);
    break;
  case EP_OP_end:
    if (g->depth > 1u) close_block(g);
    break;
  case EP_OP_br:
  case EP_OP_br_if:
  case EP_OP_return: put_branch(g, opcode); break;
  case EP_OP_br_table: put_br_table(g); break;
  case EP_OP_call:
  case EP_OP_call_indirect: put_call(g, opcode == EP_OP_call_indirect); break;
  case EP_OP_drop:
    if (g->height > base(g)) put(g, opcode), g->height--;
    break;
  case EP_OP_select: put_select(g); break;
  case EP_OP_local_get:
  case EP_OP_local_set:
  case EP_OP_local_tee: put_local(g, opcode); break;
  case EP_OP_global_get:
  case EP_OP_global_set: put_global(g, opcode); break;
  case EP_OP_memory_size:
  case EP_OP_memory_grow:
    if (opcode == EP_OP_memory_grow) take(g, &number, 1);
    put(g, opcode);
    put(g, 0);
    push(g, number);
    break;
  case EP_OP_i32_const:
  case EP_OP_i64_const:
  case EP_OP_f32_const:
  case EP_OP_f64_const: put_constant(g, (uint8_t)(EP_WASM_I32 - (opcode - EP_OP_i32_const))); break;
  default: put_bulk(g, opcode);
  }
}

static void put_instruction(generator_t *g) {
  uint32_t which = fuzz_u8(&g->input) % INSTRUCTIONS;
  uint32_t opcode = instructions[which].opcode, signature = instructions[which].signature;
  if (signature == EP_SIG_SPECIAL) {
    put_special(g, opcode);
  } else if ((signature & EP_SIG_CLASS) == EP_SIG_NUMERIC) {
    put_numeric(g, opcode, signature);
  } else {
    put_access(g, opcode, signature);
  }
}

/* ---- sections ------------------------------------------------------------------------------------------------------- */

static void put_bytes(generator_t *g, const char *bytes, uint32_t size) {
  memcpy(g->out + g->at, bytes, size);
  g->at += size;
}

#define PUT(g, bytes) put_bytes(g, bytes, sizeof bytes - 1u)

static void put_section(generator_t *g, uint32_t id, const char *contents, uint32_t size) {
  put(g, id);
  put_leb(g, size);
  put_bytes(g, contents, size);
}

#define SECTION(g, id, contents) put_section(g, id, contents, sizeof contents - 1u)

static void put_types(generator_t *g) {
  uint32_t section;
  put(g, 1);
  section = open_size(g);
  put(g, TYPES + IMPORTS);
  for (uint32_t i = 0; i < TYPES; i++) put_type(g, types[i]);
  for (uint32_t i = 0; i < IMPORTS; i++) put_type(g, import_types[i]);
  close_size(g, section);
}

static void put_imports(generator_t *g) {
  uint32_t section;
  put(g, 2);
  section = open_size(g);
  put(g, IMPORTS);
  PUT(g, "\10edgeplug\5input\0\10");
  PUT(g, "\10edgeplug\6output\0\11");
  PUT(g, "\10edgeplug\6now_us\0\12");
  PUT(g, "\10edgeplug\3log\0\13");
  close_size(g, section);
}

/* Function `index` has type `index`; of the locals the first are its parameters. */
static void put_body(generator_t *g, uint32_t index) {
  static const uint8_t more[] = {EP_WASM_I32, EP_WASM_I64, EP_WASM_F32, EP_WASM_F64, EP_WASM_F64};
  uint32_t body = open_size(g);
  g->local_count = list(types[index], false, g->locals);
  memcpy(g->locals + g->local_count, more, sizeof more);
  g->local_count += (uint32_t)sizeof more;
  PUT(g, "\4\1\x7f\1\x7e\1\x7d\2\x7c");
  g->height = 0;
  g->depth = 1;
  g->blocks[0] = (block_t){EP_OP_block, (uint8_t)index, 0};
  g->stop = g->at + BODY;
  /* An eighth of what is left of the input at least, so that no function takes it all. */
  while (fuzz_more(&g->input) && g->at < g->stop && g->height < 500u) {
    uint32_t before = *g->input.at;
    if (before == 0xFFu && g->depth == 1u) {
      g->input.at++;
      break;
    }
    put_instruction(g);
  }
  while (g->depth > 0u) close_block(g);
  close_size(g, body);
}

static void put_code(generator_t *g) {
  uint32_t section;
  put(g, 10);
  section = open_size(g);
  put(g, FUNCTIONS);
  for (uint32_t i = 0; i < FUNCTIONS; i++) put_body(g, i);
  close_size(g, section);
}

size_t generate_module(const uint8_t *decisions, size_t count, uint8_t module[GENERATE_ROOM]) {
  generator_t g;
  memset(&g, 0, sizeof g);
  g.input = (fuzz_input_t){decisions, decisions + count};
  g.out = module;
  PUT(&g, "\0asm\1\0\0\0");
  put_types(&g);
  put_imports(&g);
  SECTION(&g, 3, "\4\0\1\2\3"); /* functions */
  SECTION(&g, 4, "\1\x70\0\6"); /* table */
  SECTION(&g, 5, "\1\0\1");     /* memory */
  SECTION(&g, 6,                /* globals */
          "\5\x7f\1\x41\7\x0b\x7e\1\x42\x7f\x0b\x7d\1\x43\0\0\x80\x3f\x0b"
          "\x7c\1\x44\0\0\0\0\0\0\xf0\x3f\x0b\x7f\0\x41\x0c\x0b");
  SECTION(&g, 7, "\1\4scan\0\4");
  SECTION(&g, 9, "\2\0\x41\0\x0b\5\4\5\6\7\0\1\0\2\4\5"); /* elements: active, passive */
  SECTION(&g, 12, "\2");                                  /* data count */
  put_code(&g);
  SECTION(&g, 11, "\2\0\x41\x08\x0b\3abc\1\3xyz"); /* data: active, passive */
  return g.at;
}
