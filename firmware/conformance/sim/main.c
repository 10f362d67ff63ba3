/* The request loop as WebAssembly: whoever instantiates it brings the bytes and takes the lines
 * (tests/conformance/src/sim-process.ts). */
#include "serve.h"

#define IMPORT(name) __attribute__((import_module("conformance"), import_name(#name)))

IMPORT(read) int import_read(void);
IMPORT(write) void import_write(const char *bytes, size_t size);

int ep_conformance_read(void) {
  return import_read();
}

void ep_conformance_write(const char *bytes, size_t size) {
  import_write(bytes, size);
}

/* Comes back after `Q`, or at the end of the input. */
__attribute__((export_name("serve"))) void serve(void);
void serve(void) {
  ep_conformance_serve();
}
