/* Validation of function bodies (spec 3.3, algorithm of the appendix), which makes the side table on the way.
 *
 * Two stacks, of operand types and of open blocks, lie at the end of the arena, where the value stack and the linear
 * memory come later. Every branch instruction, reachable or not, gets its side table entry (br_table: one for each
 * label), in the order of the code. A forward branch doesn't know its target yet: until the block ends, its entry's
 * `branch` field leads to the previous entry that waits for the same end; the first one leads to itself.
 */
#include "wasm/bulk.h"
#include "wasm/load.h"
#include "wasm/opcodes.h"
#include "wasm/signature_words.h"
#include "wasm/types.h"

#include <string.h>

/* Value types by their code in a signature, and the signatures of all plain instructions. */
#define EP_SIG_TYPE(code) ((uint8_t)(EP_WASM_I32 - (code)))

/* The first that has one; those before it all go to its place, and are overwritten by it. */
#define FIRST_SIGNATURE EP_OP_i32_load
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const uint8_t ep_wasm_signatures[] = {
#define EP_WASM_OPCODE(code, id, text, fuel, signature)                                                      \
  [(code) < FIRST_SIGNATURE ? 0 : (code)-FIRST_SIGNATURE] = signature,
#define EP_WASM_PREFIXED(code, id, text, fuel, signature)
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
};
#pragma GCC diagnostic pop

static const uint8_t ep_wasm_prefixed_signatures[] = {
#define EP_WASM_OPCODE(code, id, text, fuel, signature)
#define EP_WASM_PREFIXED(code, id, text, fuel, signature) [code] = signature,
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
};

/* An open block. */
struct ep_wasm_block {
  ep_wasm_types_t params;
  ep_wasm_types_t results;
  uint32_t waiting;      /* last side table entry that leads to the block's end, or NONE */
  uint16_t height;       /* of the operand stack below it */
  uint16_t start;        /* loop: offset of its first instruction */
  uint16_t start_branch; /* loop: and the side table entry there */
  uint16_t otherwise;    /* if: the entry taken when the condition is 0 */
  uint8_t opcode;        /* block, loop, if, else; end for the body itself */
  bool unreachable;
};

#define NONE UINT32_MAX

#define EP_WASM_STEP 64u

/* ---- operands and blocks (appendix A.3) --------------------------------------------------------- */

static void ep_wasm_push(LOADER_ uint8_t type) {
  if (loader->height >= EP_WASM_MAX_OPERANDS) {
    ep_wasm_refuse(WITH_ EP_REFUSE_operands);
    return;
  }
  loader->operands[loader->height++] = type;
  if (loader->height > loader->highest) loader->highest = loader->height;
}

/* The operand `below` the top, ANY where the stack is polymorphic. */
static uint8_t ep_wasm_peek(LOADER_ uint32_t below) {
  const ep_wasm_block_t *top = loader->top;
  if (loader->height - top->height > below) return loader->operands[loader->height - 1u - below];
  if (!top->unreachable) ep_wasm_refuse(WITH_ EP_REFUSE_type_mismatch);
  return EP_WASM_ANY;
}

static void ep_wasm_expect(LOADER_ uint8_t actual, uint8_t expected) {
  if (actual != expected && actual != EP_WASM_ANY && expected != EP_WASM_ANY)
    ep_wasm_refuse(WITH_ EP_REFUSE_type_mismatch);
}

static uint8_t ep_wasm_pop_any(LOADER) {
  uint8_t type = ep_wasm_peek(WITH_ 0);
  if (loader->height > loader->top->height) loader->height--;
  return type;
}

static void ep_wasm_pop(LOADER_ uint8_t expected) {
  ep_wasm_expect(WITH_ ep_wasm_pop_any(WITH), expected);
}

static void ep_wasm_push_types(LOADER_ ep_wasm_types_t types) {
  const uint8_t *type = loader->code + EP_TYPES_OFFSET(types);
  for (uint32_t i = EP_TYPES_COUNT(types); i > 0u; i--) ep_wasm_push(WITH_ * type++);
}

static void ep_wasm_pop_types(LOADER_ ep_wasm_types_t types) {
  const uint8_t *const first = loader->code + EP_TYPES_OFFSET(types);
  for (uint32_t i = EP_TYPES_COUNT(types); i > 0u; i--) ep_wasm_pop(WITH_ first[i - 1u]);
}

static void ep_wasm_unreachable(LOADER) {
  ep_wasm_block_t *top = loader->top;
  loader->height = top->height;
  top->unreachable = true;
}

static void ep_wasm_open_block(LOADER_ ep_wasm_signature_t signature, uint8_t opcode) {
  ep_wasm_block_t *block = &loader->blocks[loader->depth];
  if (loader->depth > EP_WASM_MAX_NESTING) {
    ep_wasm_refuse(WITH_ EP_REFUSE_nesting);
    return;
  }
  loader->depth++;
  loader->top = block;
  block->opcode = opcode;
  block->params = EP_PARAMS(signature);
  block->results = EP_RESULTS(signature);
  block->waiting = NONE;
  block->height = (uint16_t)loader->height;
  block->start = (uint16_t)loader->at;
  block->start_branch = (uint16_t)loader->branch_count;
  block->unreachable = false;
  ep_wasm_push_types(WITH_ block->params);
}

/* The block's results are there, and nothing else. */
static void ep_wasm_close_block(LOADER) {
  const ep_wasm_block_t *top = loader->top;
  ep_wasm_pop_types(WITH_ top->results);
  if (loader->height != top->height) ep_wasm_refuse(WITH_ EP_REFUSE_type_mismatch);
}

/* Parameters and results of the function type `index`. */
static ep_wasm_signature_t ep_wasm_type(LOADER_ uint32_t index) {
  if (index >= loader->instance->type_count) ep_wasm_refuse(WITH_ EP_REFUSE_unknown_type);
  return ep_wasm_ok(WITH) ? ep_wasm_signature(loader->instance, index) : 0u;
}

/* Block types (5.4.1): nothing, one value type, or a type index of 33 bits. */
static ep_wasm_signature_t ep_wasm_read_block_type(LOADER) {
  const uint32_t at = loader->at;
  const int64_t index = ep_wasm_read_signed(WITH_ 33);
  if (index >= 0) return ep_wasm_type(WITH_(uint32_t) index);
  if (!ep_wasm_ok(WITH)) return 0;
  loader->at = at;
  if (ep_wasm_read_byte(WITH) == 0x40u) return 0;
  loader->at = at;
  (void)ep_wasm_read_value_type(WITH);
  return EP_SIGNATURE(0u, EP_TYPES(at, 1u));
}

/* ---- side table ----------------------------------------------------------------------------------- */

static ep_wasm_branch_t *ep_wasm_new_branch(LOADER_ uint32_t *index) {
  *index = loader->branch_count;
  if (loader->branch_count >= EP_WASM_MAX_BRANCHES)
    ep_wasm_refuse(WITH_ EP_REFUSE_side_table);
  else if (loader->branch_count >= loader->branch_room)
    ep_wasm_refuse(WITH_ EP_REFUSE_arena);
  else
    loader->branch_count++;
  return &loader->instance->branches[*index];
}

static ep_wasm_types_t ep_wasm_label_types(const ep_wasm_block_t *block) {
  return block->opcode == EP_OP_loop ? block->params : block->results;
}

/* Adds an entry for a branch to `block`, with the label's operands still on the stack. */
static void ep_wasm_add_branch(LOADER_ ep_wasm_block_t *block) {
  uint32_t index;
  ep_wasm_branch_t *branch = ep_wasm_new_branch(WITH_ & index);
  uint32_t arity = EP_TYPES_COUNT(ep_wasm_label_types(block));
  uint32_t kept = block->height + arity;
  uint32_t drop =
      loader->height > kept ? loader->height - kept : 0u; /* less than is needed only where it can't run */
  if (drop > 0u && arity > EP_WASM_MAX_ARITY) ep_wasm_refuse(WITH_ EP_REFUSE_branch_operands);
  if (!ep_wasm_ok(WITH)) return;
  branch->unwind = (uint16_t)(drop == 0u ? 0u : drop | arity << EP_WASM_UNWIND_BITS);
  if (block->opcode == EP_OP_loop) {
    branch->target = block->start;
    branch->branch = block->start_branch;
  } else {
    branch->branch = (uint16_t)(block->waiting == NONE ? index : block->waiting);
    block->waiting = index;
  }
}

/* Leads all branches that wait for this block's end to `target`, from where the table goes on as it does here. */
static void ep_wasm_resolve(LOADER_ const ep_wasm_block_t *block, uint32_t target) {
  uint32_t index = block->waiting;
  while (index != NONE) {
    ep_wasm_branch_t *branch = &loader->instance->branches[index];
    uint32_t previous = branch->branch;
    branch->target = (uint16_t)target;
    branch->branch = (uint16_t)loader->branch_count;
    index = previous == index ? NONE : previous;
  }
}

/* Where an `if` goes when its condition is 0: here. */
static void ep_wasm_resolve_otherwise(LOADER_ const ep_wasm_block_t *block) {
  ep_wasm_branch_t *branch = &loader->instance->branches[block->otherwise];
  branch->target = (uint16_t)loader->at;
  branch->branch = (uint16_t)loader->branch_count;
  branch->unwind = 0;
}

/* ---- control instructions (3.3.8) ----------------------------------------------------------------- */

static void ep_wasm_validate_block(LOADER_ uint8_t opcode) {
  uint32_t entry = 0;
  const ep_wasm_signature_t signature = ep_wasm_read_block_type(WITH);
  if (opcode == EP_OP_if) {
    ep_wasm_pop(WITH_ EP_WASM_I32);
    (void)ep_wasm_new_branch(WITH_ & entry);
  }
  ep_wasm_pop_types(WITH_ EP_PARAMS(signature));
  if (!ep_wasm_ok(WITH)) return;
  ep_wasm_open_block(WITH_ signature, opcode);
  if (ep_wasm_ok(WITH)) loader->top->otherwise = (uint16_t)entry;
}

static void ep_wasm_validate_else(LOADER) {
  ep_wasm_block_t *top = loader->top;
  if (top->opcode != EP_OP_if) {
    ep_wasm_refuse(WITH_ EP_REFUSE_else_without_if);
    return;
  }
  ep_wasm_close_block(WITH);
  if (!ep_wasm_ok(WITH)) return;
  loader->height =
      top->height + EP_TYPES_COUNT(top->results); /* as it is when the first arm ends: nothing to drop */
  ep_wasm_add_branch(WITH_ top);
  if (!ep_wasm_ok(WITH)) return;
  ep_wasm_resolve_otherwise(WITH_ top);
  loader->height = top->height;
  top->opcode = EP_OP_else;
  top->unreachable = false;
  ep_wasm_push_types(WITH_ top->params);
}

static void ep_wasm_validate_end(LOADER) {
  ep_wasm_block_t *top = loader->top;
  ep_wasm_close_block(WITH);
  if (!ep_wasm_ok(WITH)) return;
  if (top->opcode == EP_OP_if) {
    if (!ep_wasm_same_types(loader->instance, top->params, top->results))
      ep_wasm_refuse(WITH_ EP_REFUSE_type_mismatch);
    ep_wasm_resolve_otherwise(WITH_ top);
  }
  loader->depth--;
  /* a branch out of the body leads to its `end`, which returns */
  ep_wasm_resolve(WITH_ top, loader->depth == 0u ? loader->at - 1u : loader->at);
  if (loader->depth > 0u) {
    loader->top--;
    ep_wasm_push_types(WITH_ top->results);
  }
}

static ep_wasm_block_t *ep_wasm_read_label(LOADER) {
  return loader->top - ep_wasm_read_index(WITH_ loader->depth, EP_REFUSE_unknown_label);
}

static void ep_wasm_validate_br(LOADER) {
  ep_wasm_block_t *block = ep_wasm_read_label(WITH);
  ep_wasm_add_branch(WITH_ block);
  ep_wasm_pop_types(WITH_ ep_wasm_label_types(block));
  ep_wasm_unreachable(WITH);
}

static void ep_wasm_validate_br_if(LOADER) {
  ep_wasm_block_t *block = ep_wasm_read_label(WITH);
  ep_wasm_pop(WITH_ EP_WASM_I32);
  ep_wasm_add_branch(WITH_ block);
  ep_wasm_pop_types(WITH_ ep_wasm_label_types(block));
  ep_wasm_push_types(WITH_ ep_wasm_label_types(block));
}

/* All labels take as many operands, and the operands fit each of them. */
static void ep_wasm_validate_br_table(LOADER) {
  uint32_t count = ep_wasm_read_count(WITH);
  uint32_t arity = 0;
  ep_wasm_pop(WITH_ EP_WASM_I32);
  for (uint32_t i = 0; i <= count && ep_wasm_ok(WITH); i++) {
    ep_wasm_block_t *block = ep_wasm_read_label(WITH);
    ep_wasm_types_t types = ep_wasm_label_types(block);
    const uint8_t *type = loader->code + EP_TYPES_OFFSET(types);
    if (i == 0u) arity = EP_TYPES_COUNT(types);
    if (EP_TYPES_COUNT(types) != arity) ep_wasm_refuse(WITH_ EP_REFUSE_type_mismatch);
    for (uint32_t k = EP_TYPES_COUNT(types); k > 0u; k--)
      ep_wasm_expect(WITH_ ep_wasm_peek(WITH_ k - 1u), *type++);
    ep_wasm_add_branch(WITH_ block);
  }
  loader->number = count;
  ep_wasm_unreachable(WITH);
}

/* A call of a function of that type. */
static void ep_wasm_apply(LOADER_ uint32_t type) {
  const ep_wasm_signature_t signature = ep_wasm_type(WITH_ type);
  ep_wasm_pop_types(WITH_ EP_PARAMS(signature));
  ep_wasm_push_types(WITH_ EP_RESULTS(signature));
}

static void ep_wasm_validate_call(LOADER) {
  const uint32_t index =
      ep_wasm_read_index(WITH_ loader->instance->function_count, EP_REFUSE_unknown_function);
  ep_wasm_apply(WITH_ loader->instance->functions[index].type);
}

static void ep_wasm_need_memory(LOADER) {
  if (!loader->instance->has_memory) ep_wasm_refuse(WITH_ EP_REFUSE_unknown_memory);
}

static void ep_wasm_need_table(LOADER) {
  if (!loader->instance->has_table) ep_wasm_refuse(WITH_ EP_REFUSE_unknown_table);
}

/* Reserved indices of memories and tables. */
static void ep_wasm_read_zero(LOADER) {
  if (ep_wasm_read_byte(WITH) != 0u) ep_wasm_refuse(WITH_ EP_REFUSE_zero_expected);
}

static void ep_wasm_validate_call_indirect(LOADER) {
  uint32_t type = ep_wasm_read_u32(WITH);
  ep_wasm_read_zero(WITH);
  ep_wasm_need_table(WITH);
  ep_wasm_pop(WITH_ EP_WASM_I32);
  ep_wasm_apply(WITH_ type);
}

/* ---- other instructions (3.3.4 to 3.3.7) ---------------------------------------------------------- */

static void ep_wasm_validate_select(LOADER) {
  uint8_t first, second;
  ep_wasm_pop(WITH_ EP_WASM_I32);
  second = ep_wasm_pop_any(WITH);
  first = ep_wasm_pop_any(WITH);
  ep_wasm_expect(WITH_ first, second);
  ep_wasm_push(WITH_ first == EP_WASM_ANY ? second : first);
}

static void ep_wasm_validate_local(LOADER_ uint8_t opcode) {
  const uint32_t index = ep_wasm_read_index(WITH_ loader->local_count, EP_REFUSE_unknown_local);
  const uint8_t type = loader->locals[index];
  if (opcode != EP_OP_local_get) ep_wasm_pop(WITH_ type);
  if (opcode != EP_OP_local_set) ep_wasm_push(WITH_ type);
}

static void ep_wasm_validate_global(LOADER_ uint8_t opcode) {
  const uint32_t index = ep_wasm_read_index(WITH_ loader->instance->global_count, EP_REFUSE_unknown_global);
  const uint8_t type = loader->global_types[index];
  if (opcode == EP_OP_global_get) {
    ep_wasm_push(WITH_ type & (uint8_t)~EP_WASM_MUTABLE);
    return;
  }
  if ((type & EP_WASM_MUTABLE) == 0u) ep_wasm_refuse(WITH_ EP_REFUSE_global_is_immutable);
  ep_wasm_pop(WITH_ type & (uint8_t)~EP_WASM_MUTABLE);
}

/* Loads and stores; `signature` has the natural alignment (3.3.7). */
static void ep_wasm_validate_access(LOADER_ uint8_t signature) {
  uint8_t type = EP_SIG_TYPE(signature & 3u);
  uint32_t natural = (uint32_t)signature >> 2 & 3u;
  uint32_t alignment = ep_wasm_read_u32(WITH);
  (void)ep_wasm_read_u32(WITH);
  ep_wasm_need_memory(WITH);
  if (alignment > natural) ep_wasm_refuse(WITH_ EP_REFUSE_alignment);
  if ((signature & EP_SIG_CLASS) == EP_SIG_STORE) ep_wasm_pop(WITH_ type);
  ep_wasm_pop(WITH_ EP_WASM_I32);
  if ((signature & EP_SIG_CLASS) == EP_SIG_LOAD) ep_wasm_push(WITH_ type);
}

static void ep_wasm_validate_numeric(LOADER_ uint8_t signature) {
  uint8_t operand = EP_SIG_TYPE(signature >> 2 & 3u);
  ep_wasm_pop(WITH_ operand);
  if ((signature & EP_SIG_BINARY_BIT) != 0u) ep_wasm_pop(WITH_ operand);
  ep_wasm_push(WITH_ EP_SIG_TYPE(signature & 3u));
}

/* memory.init to table.copy, as their opcodes' bits say: a segment's index, then those of memories or tables. */
static void ep_wasm_validate_bulk(LOADER_ uint32_t code) {
  const uint32_t what = code & 3u;
  const bool table = (code & EP_BULK_TABLE) != 0u;
  uint32_t indices = what == EP_BULK_COPY ? 2u : 1u;
  if (what == EP_BULK_INIT || what == EP_BULK_DROP) {
    if (!table && loader->sections[EP_SECTION_DATA_COUNT].at == 0u)
      ep_wasm_refuse(WITH_ EP_REFUSE_data_count);
    (void)ep_wasm_read_index(WITH_ table ? loader->instance->element_count : loader->instance->data_count,
                             EP_REFUSE_unknown_segment);
  }
  if (what == EP_BULK_DROP) return;
  for (; indices > 0u; indices--) {
    if (!table)
      ep_wasm_read_zero(WITH);
    else
      (void)ep_wasm_read_index(WITH_ 1, EP_REFUSE_unknown_table);
  }
  if (table)
    ep_wasm_need_table(WITH);
  else
    ep_wasm_need_memory(WITH);
  for (uint32_t i = 0; i < 3u; i++) ep_wasm_pop(WITH_ EP_WASM_I32);
}

/* Instructions behind the prefix 0xFC. */
static void ep_wasm_validate_prefixed(LOADER) {
  const uint32_t code = ep_wasm_read_u32(WITH);
  const uint8_t signature =
      code < sizeof ep_wasm_prefixed_signatures ? ep_wasm_prefixed_signatures[code] : EP_SIG_SPECIAL;
  if (signature != EP_SIG_SPECIAL)
    ep_wasm_validate_numeric(WITH_ signature);
  else if (code <= (EP_OP_table_copy & 0xFFu))
    ep_wasm_validate_bulk(WITH_ code);
  else /* table.grow, table.size, table.fill */
    ep_wasm_refuse(WITH_ code <= 17u ? EP_REFUSE_reference_types : EP_REFUSE_opcode);
}

/* Opcodes of later features, by ranges in ascending order; all that the engine doesn't know and that aren't here are
 * of none. */
typedef struct {
  uint8_t first;
  uint8_t last;
  uint8_t why;
} ep_wasm_feature_t;

static const ep_wasm_feature_t ep_wasm_features[] = {
    {0x06, 0x0A, EP_REFUSE_exceptions},      {0x12, 0x13, EP_REFUSE_tail_calls},
    {0x18, 0x19, EP_REFUSE_exceptions},      {0x1C, 0x1C, EP_REFUSE_reference_types},
    {0x1F, 0x1F, EP_REFUSE_exceptions},      {0x25, 0x26, EP_REFUSE_reference_types},
    {0xD0, 0xD6, EP_REFUSE_reference_types}, {0xFD, 0xFD, EP_REFUSE_vector_instructions},
    {0xFE, 0xFE, EP_REFUSE_threads},
};

static void ep_wasm_refuse_opcode(LOADER_ uint8_t opcode) {
  ep_wasm_refusal_t why = EP_REFUSE_opcode;
  for (uint32_t i = 0; i < sizeof ep_wasm_features / sizeof *ep_wasm_features; i++) {
    const ep_wasm_feature_t *feature = &ep_wasm_features[i];
    if (opcode >= feature->first && opcode <= feature->last) why = (ep_wasm_refusal_t)feature->why;
  }
  loader->at--;
  ep_wasm_refuse(WITH_ why);
}

static void ep_wasm_validate_constant(LOADER_ uint8_t opcode) {
  (void)ep_wasm_read_literal(WITH_ opcode);
  ep_wasm_push(WITH_ EP_WASM_LITERAL(opcode));
}

static void ep_wasm_validate_special(LOADER_ uint8_t opcode) {
  switch (opcode) {
  case EP_OP_unreachable: ep_wasm_unreachable(WITH); break;
  case EP_OP_nop: break;
  case EP_OP_block:
  case EP_OP_loop:
  case EP_OP_if: ep_wasm_validate_block(WITH_ opcode); break;
  case EP_OP_else: ep_wasm_validate_else(WITH); break;
  case EP_OP_end: ep_wasm_validate_end(WITH); break;
  case EP_OP_br: ep_wasm_validate_br(WITH); break;
  case EP_OP_br_if: ep_wasm_validate_br_if(WITH); break;
  case EP_OP_br_table: ep_wasm_validate_br_table(WITH); break;
  case EP_OP_return:
    ep_wasm_pop_types(WITH_ loader->blocks[0].results);
    ep_wasm_unreachable(WITH);
    break;
  case EP_OP_call: ep_wasm_validate_call(WITH); break;
  case EP_OP_call_indirect: ep_wasm_validate_call_indirect(WITH); break;
  case EP_OP_drop: (void)ep_wasm_pop_any(WITH); break;
  case EP_OP_select: ep_wasm_validate_select(WITH); break;
  case EP_OP_local_get:
  case EP_OP_local_set:
  case EP_OP_local_tee: ep_wasm_validate_local(WITH_ opcode); break;
  case EP_OP_global_get:
  case EP_OP_global_set: ep_wasm_validate_global(WITH_ opcode); break;
  case EP_OP_memory_size:
  case EP_OP_memory_grow:
    ep_wasm_read_zero(WITH);
    ep_wasm_need_memory(WITH);
    if (opcode == EP_OP_memory_grow) ep_wasm_pop(WITH_ EP_WASM_I32);
    ep_wasm_push(WITH_ EP_WASM_I32);
    break;
  case EP_OP_i32_const:
  case EP_OP_i64_const:
  case EP_OP_f32_const:
  case EP_OP_f64_const: ep_wasm_validate_constant(WITH_ opcode); break;
  case EP_OP_prefix: ep_wasm_validate_prefixed(WITH); break;
  default: ep_wasm_refuse_opcode(WITH_ opcode);
  }
}

static void ep_wasm_validate_instruction(LOADER) {
  uint8_t opcode = ep_wasm_read_byte(WITH);
  uint32_t index = opcode - (uint32_t)FIRST_SIGNATURE; /* very large for those before it */
  uint8_t signature = index < sizeof ep_wasm_signatures ? ep_wasm_signatures[index] : EP_SIG_SPECIAL;
  switch (signature & EP_SIG_CLASS) {
  case EP_SIG_NUMERIC: ep_wasm_validate_numeric(WITH_ signature); break;
  case EP_SIG_LOAD:
  case EP_SIG_STORE: ep_wasm_validate_access(WITH_ signature); break;
  default: ep_wasm_validate_special(WITH_ opcode);
  }
}

/* ---- bodies (3.4.1, 5.5.13) ----------------------------------------------------------------------- */

static void ep_wasm_read_locals(LOADER_ ep_wasm_types_t params) {
  uint64_t total = EP_TYPES_COUNT(params);
  uint32_t groups;
  memcpy(loader->locals, loader->code + EP_TYPES_OFFSET(params), EP_TYPES_COUNT(params));
  loader->local_count = EP_TYPES_COUNT(params);
  groups = ep_wasm_read_count(WITH);
  for (uint32_t i = 0; i < groups && ep_wasm_ok(WITH); i++) {
    uint32_t count = ep_wasm_read_u32(WITH);
    uint8_t type = ep_wasm_read_value_type(WITH);
    total += count;
    if (total > EP_WASM_MAX_LOCALS) continue; /* too many for the engine, maybe for the spec */
    memset(loader->locals + loader->local_count, type, count);
    loader->local_count += count;
  }
  if (total > UINT32_MAX)
    ep_wasm_refuse(WITH_ EP_REFUSE_too_many_locals);
  else if (total > EP_WASM_MAX_LOCALS)
    ep_wasm_refuse(WITH_ EP_REFUSE_locals);
}

static void ep_wasm_step(LOADER) {
  if (loader->at < loader->next_step) return;
  loader->next_step = loader->at + EP_WASM_STEP;
  ep_wasm_report(WITH);
}

static void ep_wasm_validate_body(LOADER_ ep_wasm_function_t *function) {
  ep_wasm_signature_t signature;
  loader->depth = loader->height = loader->highest = 0;
  signature = ep_wasm_type(WITH_ function->type);
  ep_wasm_read_locals(WITH_ EP_PARAMS(signature));
  function->start = (uint16_t)loader->at;
  function->branch = (uint16_t)loader->branch_count;
  ep_wasm_open_block(WITH_ signature & ~(uint64_t)UINT32_MAX, EP_OP_end);
  memset(&loader->fusing, 0, sizeof loader->fusing);
  while (loader->depth > 0u) {
    const uint32_t start = loader->at;
    ep_wasm_validate_instruction(WITH);
    if (!ep_wasm_ok(WITH)) return;
    ep_wasm_rewrite(WITH_ start);
    ep_wasm_step(WITH);
  }
  function->locals = (uint16_t)loader->local_count;
  /* two more than the operands: the top of an empty stack, and numeric.c reads a second operand even if there is none */
  function->slots = (uint16_t)(loader->local_count + EP_WASM_FRAME_SLOTS + 2u + loader->highest);
}

/* The stacks and the list of local types, at the end of the arena; the side table may grow up to them. */
static void ep_wasm_take_scratch(LOADER) {
  const uint32_t blocks = (EP_WASM_MAX_NESTING + 1u) * (uint32_t)sizeof(ep_wasm_block_t);
  const uint32_t bytes = (blocks + EP_WASM_MAX_OPERANDS + EP_WASM_MAX_LOCALS + 15u) & ~7u;
  uint8_t *scratch;
  loader->instance->branches = ep_wasm_take(WITH_ 0, sizeof(ep_wasm_branch_t));
  if (!ep_wasm_ok(WITH)) return;
  if (loader->arena_size - loader->arena_used < bytes) {
    ep_wasm_refuse(WITH_ EP_REFUSE_arena);
    return;
  }
  loader->branch_room =
      (loader->arena_size - loader->arena_used - bytes) / (uint32_t)sizeof(ep_wasm_branch_t);
  scratch = loader->arena + ((loader->arena_size - bytes) & ~7u);
  loader->blocks = (ep_wasm_block_t *)(void *)scratch;
  loader->operands = scratch + blocks;
  loader->locals = loader->operands + EP_WASM_MAX_OPERANDS;
}

/* Code section (5.5.13): one body for each function that isn't imported. */
void ep_wasm_read_code(LOADER) {
  uint32_t bodies = loader->instance->function_count - loader->import_functions;
  uint32_t count = ep_wasm_open(WITH_ EP_SECTION_CODE);
  if (count != bodies) ep_wasm_refuse(WITH_ EP_REFUSE_code_count);
  ep_wasm_take_scratch(WITH);
  for (uint32_t i = 0; i < count && ep_wasm_ok(WITH); i++) {
    uint32_t section_end = loader->end;
    uint32_t size = ep_wasm_read_u32(WITH);
    if (size > loader->end - loader->at) ep_wasm_refuse(WITH_ EP_REFUSE_unexpected_end);
    if (!ep_wasm_ok(WITH)) return;
    loader->error->function = loader->import_functions + i;
    loader->end = loader->at + size;
    ep_wasm_validate_body(WITH_ & loader->instance->functions[loader->import_functions + i]);
    ep_wasm_close(WITH);
    if (!ep_wasm_ok(WITH)) return;
    loader->end = section_end;
  }
  loader->error->function = 0;
  loader->arena_used += loader->branch_count * (uint32_t)sizeof(ep_wasm_branch_t);
  ep_wasm_close(WITH);
}
