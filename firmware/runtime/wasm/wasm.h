/* The WebAssembly engine: loads one module into one instance and calls its exports.
 *
 * The module's bytes are interpreted where they lie. Loading changes those of the code to what runs faster; from
 * then on they must stay unchanged for the life of the instance, and can't be loaded again. Everything else (linear memory, globals, table, side table, value stack, call frames) is
 * carved out of one arena that the caller owns. There is no static state: instances are independent, and
 * two may run at once, one interrupting the other. Nothing recurses, nothing is allocated.
 *
 * Order of calls: ep_wasm_load() → ep_wasm_start() → ep_wasm_find_export() → ep_wasm_invoke() ...
 */
#ifndef EP_WASM_WASM_H
#define EP_WASM_WASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a module was refused or a call ended. The names that ep_wasm_name_result() gives are those of the
 * WebAssembly spec's own tests where the spec has one. */
typedef enum {
  EP_WASM_OK = 0,
  EP_WASM_MALFORMED,   /* the binary format (spec section 5) does not hold */
  EP_WASM_INVALID,     /* validation (spec section 3) fails */
  EP_WASM_UNSUPPORTED, /* a feature left out on purpose; detail names it */
  EP_WASM_UNLINKABLE,  /* an import that the host doesn't offer, or of another type */
  EP_WASM_LIMIT,       /* one of the engine's or the manifest's limits; detail names it */
  EP_WASM_TRAP_UNREACHABLE,
  EP_WASM_TRAP_MEMORY,    /* out of bounds memory access */
  EP_WASM_TRAP_TABLE,     /* out of bounds table access */
  EP_WASM_TRAP_ELEMENT,   /* uninitialized element */
  EP_WASM_TRAP_CALL_TYPE, /* indirect call type mismatch */
  EP_WASM_TRAP_DIVIDE_BY_ZERO,
  EP_WASM_TRAP_OVERFLOW,   /* integer overflow */
  EP_WASM_TRAP_CONVERSION, /* invalid conversion to integer */
  EP_WASM_TRAP_STACK,      /* value stack or call depth exhausted */
  EP_WASM_TRAP_FUEL,
  EP_WASM_TRAP_HOST /* a host function asked for it (env.abort) */
} ep_wasm_result_t;

typedef struct ep_wasm_instance ep_wasm_instance_t;

/* A host function. `args` are the parameters as raw 64-bit values (i32 and f32 in the low 32 bits), and
 * the result, if there is one, is written to args[0]. EP_WASM_OK or EP_WASM_TRAP_HOST. */
typedef ep_wasm_result_t (*ep_wasm_host_fn)(ep_wasm_instance_t *instance, uint64_t *args);

/* One importable function. `type` is the signature as "(params)result" with i = i32, I = i64, f = f32,
 * F = f64, e.g. "(i)f" for input(channel): f32 and "(if)" for output(channel, value). */
typedef struct {
  const char *module;
  const char *name;
  const char *type;
  ep_wasm_host_fn call;
} ep_wasm_import_t;

/* A table, memory or global that the host offers. Boards offer none; the conformance image does. A fresh one is made
 * for each instance. */
typedef struct {
  const char *module;
  const char *name;
  uint8_t kind; /* EP_WASM_TABLE (of functions), EP_WASM_MEMORY or EP_WASM_GLOBAL */
  uint8_t type; /* global: its value type as in the binary format, plus 0x80 if mutable */
  uint32_t min; /* table: elements; memory: pages */
  uint32_t max;
  uint64_t value; /* global */
} ep_wasm_external_t;

#define EP_WASM_TABLE  1u
#define EP_WASM_MEMORY 2u
#define EP_WASM_GLOBAL 3u

/* What one instance may use. */
typedef struct {
  uint32_t memory_bytes; /* linear memory, bytes: accesses at or above it trap; the module's declared
                            minimum is what memory.size answers */
  uint32_t stack_slots;  /* operands and locals of all live frames, 8 bytes each */
  uint32_t call_depth;   /* nested calls */
} ep_wasm_limits_t;

/* Everything the engine needs from its caller. The struct and all it points to outlive the instance. */
typedef struct {
  const ep_wasm_import_t *imports;
  uint32_t import_count;
  void *context; /* for the host functions: ep_wasm_context() */
  /* Called in ep_wasm_load() after each 64 bytes of code validated, and in calls made with
   * ep_wasm_set_sliced() after each EP_WASM_SLICE fuel; may be NULL. */
  void (*validate_step)(void *context);
  void (*fuel_step)(void *context);
  const ep_wasm_external_t *externals;
  uint32_t external_count;
  bool plain; /* for tests: instructions are not fused */
} ep_wasm_host_t;

#define EP_WASM_SLICE 2048u

/* What went wrong, for people: filled by every call that fails. */
typedef struct {
  uint32_t offset;   /* byte offset in the module, 0 if none applies */
  uint32_t function; /* function index of a trap */
  char detail[48];   /* e.g. the import's name, the limit, the feature; never empty after a failure */
} ep_wasm_error_t;

/* Fixed-size head of an instance; its size is checked against 1 KiB. Defined in instance.h; callers
 * treat it as opaque and reserve one. */
#include "instance.h"

/* Reads, validates and instantiates `code` (kept by reference, and changed) using `arena` (8-byte aligned).
 * EP_WASM_OK, or MALFORMED, INVALID, UNSUPPORTED, UNLINKABLE, LIMIT, or a trap while data or element
 * segments were copied. `error` is never NULL. The start function doesn't run yet. */
ep_wasm_result_t ep_wasm_load(ep_wasm_instance_t *instance, uint8_t *code, uint32_t size,
                              const ep_wasm_limits_t *limits, const ep_wasm_host_t *host, void *arena,
                              uint32_t arena_size, ep_wasm_error_t *error);

/* Runs the start function, if the module has one, with the instance's present fuel. */
ep_wasm_result_t ep_wasm_start(ep_wasm_instance_t *instance);

/* Index of the exported function `name` whose type is `type` (as in ep_wasm_import_t; NULL = any), or
 * −1 if there is none or it has another type. */
int32_t ep_wasm_find_export(const ep_wasm_instance_t *instance, const char *name, const char *type);

/* The same for a name of `size` bytes, which may contain any character. */
int32_t ep_wasm_find_function(const ep_wasm_instance_t *instance, const uint8_t *name, uint32_t size,
                              const char *type);

/* How many values function `index` takes and gives. */
void ep_wasm_function_arity(const ep_wasm_instance_t *instance, uint32_t index, uint32_t *params,
                            uint32_t *results);

/* Fuel for the calls to come, and what is left of it. A call traps when it is used up; a trap may be
 * noticed up to one basic block late, so what is left can be slightly negative. */
void ep_wasm_set_fuel(ep_wasm_instance_t *instance, int32_t fuel);
int32_t ep_wasm_fuel(const ep_wasm_instance_t *instance);

/* For host functions whose work is worth more than their call: takes `fuel` more for it. */
void ep_wasm_charge(ep_wasm_instance_t *instance, int32_t fuel);

/* The globals as they are kept, `size` bytes: to be put back later, nothing else. Between two calls. */
void *ep_wasm_globals(ep_wasm_instance_t *instance, uint32_t *size);

/* Whether calls report each EP_WASM_SLICE fuel by fuel_step (main loop: true; scan interrupt: false). */
void ep_wasm_set_sliced(ep_wasm_instance_t *instance, bool sliced);

/* Calls function `index`. `values` holds the arguments as raw 64-bit values and receives the results;
 * it has room for the larger of both. After a trap the instance may be called again. */
ep_wasm_result_t ep_wasm_invoke(ep_wasm_instance_t *instance, uint32_t index, uint64_t *values);

/* What the last failing call was about. */
const ep_wasm_error_t *ep_wasm_last_error(const ep_wasm_instance_t *instance);

/* Linear memory from `address` on for `size` bytes, or NULL if it isn't all inside. For host functions. */
uint8_t *ep_wasm_memory(ep_wasm_instance_t *instance, uint32_t address, uint32_t size);

void *ep_wasm_context(const ep_wasm_instance_t *instance);

/* The custom section `name`: its contents and size, or NULL. Works on any bytes, before validation. */
const uint8_t *ep_wasm_custom_section(const uint8_t *code, uint32_t size, const char *name,
                                      uint32_t *section_size);

/* Writes its name, e.g. "integer divide by zero", into the error's detail. */
void ep_wasm_name_result(ep_wasm_result_t result, ep_wasm_error_t *error);

#endif
