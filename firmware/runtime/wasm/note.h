#ifndef EP_WASM_NOTE_H
#define EP_WASM_NOTE_H

#include "wasm/wasm.h"

/* Writes an error's detail, cut to what fits. */
void ep_wasm_note(ep_wasm_error_t *error, const char *detail);

#endif
