/* What load time does to a body that has been validated: the interpreter runs the private copy of the module's bytes, and
 * has an easier life if those are not all as the binary format wants them. Every instruction keeps its place and its
 * length, so that offsets, branch targets and fuel are what they were; nothing is written that the validator still reads.
 *
 * First, what is rare gets an opcode of its own, so that the usual way needn't look for it: immediates of more than one
 * byte, the `end` of a body, wide constants. Numbers of several bytes become such as they are in memory, no longer LEB128, and what
 * they no longer need becomes nops. (br_table: only how many labels it has is looked at. call_indirect: the number of
 * its type that equal types share.)
 *
 * Then sequences are fused. Their first opcode says how the operands are fetched; an opcode that stands somewhere behind
 * it, the second half, says what is done with them. Immediates are moved together (a, b: locals, c: constant, s: second
 * half, x: local written; · is skipped):
 *
 *   local.get a, local.get b, op            locals_with a b s ·
 *   local.get a, i32.const c, op            local_const_with a s cc          c of two bytes: local_const16_with a s cc ·
 *   the same and local.set x, if or br_if   ..._to, and then what there was
 *   local.get b, op                         local_with b s
 *   i32.const c, op                         const_with c s, const16_with cc s, const32_with cccc · s
 *   block, block, ... loop (no types)       blocks n ...
 *
 * A label ends every sequence: branches lead to the places behind `loop`, `else` and `end`, which are never inside one.
 */
#include "wasm/load.h"
#include "wasm/opcodes.h"

#include <string.h>

/* What the instruction before was. */
enum { OTHER, LOCAL, CONST, CONST16, CONST32, PAIR, BLOCK };

/* A byte says how many. */
#define MOST_BLOCKS 255u

/* Distances between the opcodes are used below. */
_Static_assert(EP_OP_local_with + CONST - LOCAL == EP_OP_const_with, "");
_Static_assert(EP_OP_local_with + CONST16 - LOCAL == EP_OP_const16_with, "");
_Static_assert(EP_OP_local_with + CONST32 - LOCAL == EP_OP_const32_with, "");
_Static_assert(EP_OP_locals_with + CONST - LOCAL == EP_OP_local_const_with, "");
_Static_assert(EP_OP_locals_with + CONST16 - LOCAL == EP_OP_local_const16_with, "");

static bool ep_wasm_is_compare(uint32_t opcode) {
  return opcode >= EP_OP_i32_eq && opcode <= EP_OP_i32_ge_u;
}

/* Operations of two i32 that can't trap. */
static bool ep_wasm_is_second(uint32_t opcode) {
  return ep_wasm_is_compare(opcode) || (opcode >= EP_OP_i32_add && opcode <= EP_OP_i32_mul) ||
         (opcode >= EP_OP_i32_and && opcode <= EP_OP_i32_rotr);
}

/* What is left of an instruction behind `from` bytes of it: each takes one fuel. */
static void ep_wasm_pad(uint8_t *at, uint32_t from, uint32_t length) {
  for (; from < length; from++) at[from] = EP_OP_nop;
}

/* i32.const: its number as it is in memory. */
static uint32_t ep_wasm_rewrite_constant(LOADER_ uint8_t *at, uint32_t length) {
  memcpy(at + 1, &loader->number, length == 6u ? 4u : length - 1u);
  if (length > 2u) *at = (uint8_t)(EP_OP_const16 + length - 3u);
  return length == 2u ? CONST : length == 3u ? CONST16 : length == 6u ? CONST32 : OTHER;
}

/* One instruction alone; what it may be the beginning of. */
static uint32_t ep_wasm_rewrite_alone(LOADER_ uint8_t *at, uint32_t length) {
  const uint32_t opcode = *at;
  uint32_t number = loader->number;
  uint8_t behind = EP_OP_nop;
  if (opcode == EP_OP_i32_const) return ep_wasm_rewrite_constant(WITH_ at, length);
  if (opcode == EP_OP_end && loader->depth == 0u) *at = EP_OP_leave;
  if (opcode == EP_OP_call_indirect) {
    number = loader->instance->types[number].canonical;
  } else if (opcode >= EP_OP_i32_load && opcode < EP_OP_memory_size) { /* the alignment is but a hint */
    if (number > UINT16_MAX) {
      at[1] = (uint8_t)((at[1] & 0x80u) | opcode);
      *at = EP_OP_access_far;
      return OTHER;
    }
    if (opcode < EP_OP_i64_load8_s || (opcode > EP_OP_i64_load32_u && opcode < EP_OP_i64_store8))
      behind = EP_OP_access_long;
  } else if (opcode == EP_OP_call || (opcode >= EP_OP_local_get && opcode <= EP_OP_global_set)) {
    if (length == 2u) return opcode == EP_OP_local_get ? LOCAL : OTHER;
    *at = (uint8_t)(opcode == EP_OP_call ? EP_OP_call_wide : opcode - EP_OP_WIDE);
  } else if (opcode != EP_OP_br_table) {
    const bool block = opcode == EP_OP_block || opcode == EP_OP_loop;
    if (block && length == 2u && at[1] == 0x40u) return BLOCK;
    if (block || opcode == EP_OP_if || opcode == EP_OP_br_if) ep_wasm_pad(at, 2, length);
    return OTHER;
  }
  memcpy(at + 1, &number, 2);
  ep_wasm_pad(at, 3, length);
  if (length > 3u) at[3] = behind;
  return OTHER;
}

/* An operation at `at`, whose second operand is `last` (a local or a constant) and begins at `from`. */
static void ep_wasm_fuse_operation(LOADER_ uint8_t *at, uint32_t last) {
  ep_wasm_fusing_t *f = &loader->fusing;
  const uint32_t opcode = *at;
  uint8_t *from = loader->writable + f->at;
  uint8_t *second = at;
  const uint32_t with = opcode + (ep_wasm_is_compare(opcode) ? EP_OP_COMPARE_WITH : EP_OP_COMPUTE_WITH);
  if (f->before != LOCAL || last == CONST32) {
    *from = (uint8_t)(EP_OP_local_with + last - LOCAL);
    *second = (uint8_t)with;
    f->kind = OTHER;
    return;
  }
  from -= 2;
  if (last == LOCAL) {
    from[2] = from[3];
    second = from + 3;
  } else {
    second = from + 2;
    if (last == CONST) from[4] = (from[3] & 0x80u) != 0u ? 0xFFu : 0u;
  }
  *from = (uint8_t)(EP_OP_locals_with + last - LOCAL);
  *second = (uint8_t)with;
  f->kind = PAIR;
  f->at = (uint16_t)(from - loader->writable);
  f->second = (uint16_t)(second - loader->writable);
  f->opcode = (uint8_t)opcode;
}

/* local.set, if or br_if behind a fused pair: it no longer leaves its result on the stack. */
static bool ep_wasm_fuse_use(LOADER_ uint32_t opcode) {
  const ep_wasm_fusing_t *f = &loader->fusing;
  uint32_t operation = f->opcode;
  if (ep_wasm_is_compare(operation)) {
    if (opcode == EP_OP_if) /* which branches when the condition does not hold */
      operation = operation <= EP_OP_i32_ne ? operation ^ 1u : operation ^ 6u;
    else if (opcode != EP_OP_br_if)
      return false;
    loader->writable[f->second] = (uint8_t)(operation + EP_OP_COMPARE_BRANCH);
  } else {
    if (opcode != EP_OP_local_set) return false;
    loader->writable[f->second] = (uint8_t)(operation + EP_OP_COMPUTE_SET);
  }
  loader->writable[f->at] += EP_OP_TO;
  return true;
}

void ep_wasm_rewrite(LOADER_ uint32_t start) {
  ep_wasm_fusing_t *f = &loader->fusing;
  uint8_t *at = loader->writable + start;
  const uint32_t opcode = *at;
  const uint32_t length = loader->at - start;
  const uint32_t kind = ep_wasm_rewrite_alone(WITH_ at, length);
  const uint32_t before = f->kind;
  if (loader->instance->host->plain) return;
  if (kind == BLOCK && before == BLOCK && start - f->at < MOST_BLOCKS * 2u) {
    loader->writable[f->at] = EP_OP_blocks;
    loader->writable[f->at + 1u] = (uint8_t)((start - f->at) / 2u + 1u);
    return;
  }
  if (before >= LOCAL && before <= CONST32 && ep_wasm_is_second(opcode)) {
    ep_wasm_fuse_operation(WITH_ at, before);
    return;
  }
  f->before = before == PAIR ? OTHER : (uint8_t)before;
  if (before == PAIR && length == 2u && ep_wasm_fuse_use(WITH_ opcode)) {
    f->kind = OTHER;
    return;
  }
  f->kind = (uint8_t)kind;
  f->at = (uint16_t)start;
}
