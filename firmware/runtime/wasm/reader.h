/* A cursor over a module's bytes (spec section 5). The first failure sticks: it sets `result` and puts the cursor at
 * the end, after which everything reads as 0; so callers check once per item, not once per byte. */
#ifndef EP_WASM_READER_H
#define EP_WASM_READER_H

#include "wasm/wasm.h"

/* EP_REFUSE_magic, ... */
typedef enum {
#define EP_WASM_REFUSAL(id, result, text) EP_REFUSE_##id,
#include "refusals.def"
#undef EP_WASM_REFUSAL
} ep_wasm_refusal_t;

typedef struct {
  const uint8_t *code;
  uint32_t at;  /* offset of the next byte */
  uint32_t end; /* of what may be read now: the section, the function body */
  ep_wasm_result_t result;
  ep_wasm_error_t *error;
} ep_wasm_reader_t;

/* Notes the first failure, at the present offset. */
void ep_wasm_refuse(ep_wasm_reader_t *reader, ep_wasm_refusal_t why);

static inline bool ep_wasm_ok(const ep_wasm_reader_t *reader) {
  return reader->result == EP_WASM_OK;
}

uint8_t ep_wasm_read_byte(ep_wasm_reader_t *reader);
void ep_wasm_skip(ep_wasm_reader_t *reader, uint32_t size);
uint32_t ep_wasm_read_u32(ep_wasm_reader_t *reader);

/* A signed LEB128 of 32, 33 or 64 bits (5.2.2). */
int64_t ep_wasm_read_signed(ep_wasm_reader_t *reader, uint32_t bits);

/* A name: valid UTF-8 (5.2.4), in the module's bytes. */
const uint8_t *ep_wasm_read_name(ep_wasm_reader_t *reader, uint32_t *size);

/* A numeric value type (5.3.1); reference and vector types are refused by name. */
uint8_t ep_wasm_read_value_type(ep_wasm_reader_t *reader);

/* A vector's length; each item takes a byte at least, so a length beyond the end is refused at once. */
uint32_t ep_wasm_read_count(ep_wasm_reader_t *reader);

#endif
