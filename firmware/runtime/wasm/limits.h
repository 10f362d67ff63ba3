/* The engine's own limits. The conformance image is the same engine, compiled with
 * others. Each limit is refused under its own name (EP_WASM_LIMIT). */
#ifndef EP_WASM_LIMITS_H
#define EP_WASM_LIMITS_H

#define EP_WASM_PAGE 65536u

#if defined(EP_CONFORMANCE)
#define EP_WASM_MAX_MODULE   65536u
#define EP_WASM_MAX_BRANCHES 65536u
#define EP_WASM_MAX_NESTING  1024u
#define EP_WASM_MAX_LOCALS   2048u
#define EP_WASM_MAX_MEMORY   196608u
#define EP_WASM_MEMORY_GROWS 1
#define EP_WASM_EXTERNALS    1
#else
#define EP_WASM_MAX_MODULE   13824u /* bytes; at most 65,536, since offsets take 16 bits */
#define EP_WASM_MAX_BRANCHES 2048u  /* side table entries; at most 65,536 */
#define EP_WASM_MAX_NESTING  128u   /* blocks within blocks in one function */
#define EP_WASM_MAX_LOCALS   256u   /* of one function, parameters included */
#define EP_WASM_MAX_MEMORY   65536u /* bytes; whatever the manifest says */
#define EP_WASM_MEMORY_GROWS 0      /* 1: memory.grow works, up to limits.memory_bytes */
#define EP_WASM_EXTERNALS    0      /* 1: the host may offer tables, memories and globals */
#endif

/* These follow from the layout of a side table entry. */
#define EP_WASM_MAX_OPERANDS 2047u /* on the stack of one function */
#define EP_WASM_MAX_ARITY    31u   /* values that a branch takes along */
#define EP_WASM_MAX_RESULTS  16u   /* of one function */

#endif
