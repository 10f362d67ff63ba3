/* The module requests of the conformance image (design: M, I and R, and beyond it F), without the wire: main.c reads the bytes of a
 * request and sends the reply line. One module at a time; a new one starts in a fresh instance.
 *
 * Every function writes one line without its line end into `reply`, always terminated.
 */
#ifndef EP_CONFORMANCE_MODULES_H
#define EP_CONFORMANCE_MODULES_H

#include <stddef.h>
#include <stdint.h>

#define EP_CONFORMANCE_MAX_MODULE  65536u /* bytes that the loop has to offer room for */
#define EP_CONFORMANCE_MAX_NAME    65535u
#define EP_CONFORMANCE_MAX_ARGS    255u
#define EP_CONFORMANCE_MAX_RESULTS 16u
#define EP_CONFORMANCE_REPLY_SIZE  (2u + EP_CONFORMANCE_MAX_RESULTS * 17u + 128u)

/* M: loads `size` bytes and runs the start function. Loading changes the bytes; they are interpreted where they lie and
 * must then stay as they are until the next load or reset. "ok", or "err malformed ...", "err invalid ...", "err unsupported ...",
 * "err unlinkable ...", "err limit ...", "err trap ..."; after any of these no module is loaded.
 * A module longer than EP_CONFORMANCE_MAX_MODULE is "err limit": pass its size and whatever `code`. */
void ep_conformance_module_load(uint8_t *code, uint32_t size, char *reply, size_t reply_size);

/* I: calls the export `name` (not terminated) with `count` raw 64-bit arguments. "r" and the results as
 * " %016x" each, or "t REASON"; "err unknown ..." if there is no such function or the arguments don't fit it. */
void ep_conformance_module_invoke(const uint8_t *name, uint32_t name_size, const uint64_t *args,
                                  uint32_t count, char *reply, size_t reply_size);

/* F: fuel that the last invoke took, "r" and " %016x"; 0 before the first one of a module. */
void ep_conformance_module_fuel(char *reply, size_t reply_size);

/* R: drops the module. "ok". */
void ep_conformance_module_reset(char *reply, size_t reply_size);

#endif
