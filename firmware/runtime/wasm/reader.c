#include "wasm/reader.h"

#include "wasm/note.h"

void ep_wasm_fail(ep_wasm_reader_t *reader, ep_wasm_result_t result, const char *detail) {
  if (reader->result != EP_WASM_OK) return;
  reader->result = result;
  reader->error->offset = reader->at;
  ep_wasm_note(reader->error, detail);
  reader->at = reader->end;
}

uint8_t ep_wasm_read_byte(ep_wasm_reader_t *reader) {
  if (reader->at >= reader->end) {
    ep_wasm_fail(reader, EP_WASM_MALFORMED, "unexpected end");
    return 0;
  }
  return reader->code[reader->at++];
}

void ep_wasm_skip(ep_wasm_reader_t *reader, uint32_t size) {
  if (size > reader->end - reader->at)
    ep_wasm_fail(reader, EP_WASM_MALFORMED, "unexpected end");
  else
    reader->at += size;
}

/* LEB128 (5.2.2): at most ceil(bits / 7) bytes, and the unused bits of the last possible one repeat the sign. */
static uint64_t ep_wasm_read_leb(ep_wasm_reader_t *reader, uint32_t bits, bool is_signed) {
  uint64_t value = 0;
  uint32_t shift = 0;
  uint8_t byte;
  do {
    byte = ep_wasm_read_byte(reader);
    value |= (uint64_t)(byte & 0x7Fu) << shift;
    if (shift + 7u >= bits) {
      uint32_t used = bits - shift;
      uint32_t excess = is_signed ? (byte & 0x7Fu) >> (used - 1u) : (uint32_t)byte >> used;
      uint32_t ones = is_signed ? 0x7Fu >> (used - 1u) : 0u;
      if ((byte & 0x80u) != 0u)
        ep_wasm_fail(reader, EP_WASM_MALFORMED, "integer too long");
      else if (excess != 0u && excess != ones)
        ep_wasm_fail(reader, EP_WASM_MALFORMED, "integer too large");
      byte &= 0x7Fu;
    }
    shift += 7u;
  } while ((byte & 0x80u) != 0u);
  if (is_signed && shift < 64u && (byte & 0x40u) != 0u) value |= ~(uint64_t)0 << shift;
  return value;
}

uint32_t ep_wasm_read_u32(ep_wasm_reader_t *reader) {
  return (uint32_t)ep_wasm_read_leb(reader, 32, false);
}

int64_t ep_wasm_read_signed(ep_wasm_reader_t *reader, uint32_t bits) {
  return (int64_t)ep_wasm_read_leb(reader, bits, true);
}

/* Unicode's table 3-7: how many bytes follow the lead, and the range of the first of them. */
static uint32_t ep_wasm_utf8_tail(uint8_t lead, uint8_t *low, uint8_t *high) {
  *low = lead == 0xE0u ? 0xA0u : lead == 0xF0u ? 0x90u : 0x80u;
  *high = lead == 0xEDu ? 0x9Fu : lead == 0xF4u ? 0x8Fu : 0xBFu;
  if (lead >= 0xC2u && lead <= 0xDFu) return 1;
  if (lead >= 0xE0u && lead <= 0xEFu) return 2;
  if (lead >= 0xF0u && lead <= 0xF4u) return 3;
  return UINT32_MAX;
}

static bool ep_wasm_utf8_valid(const uint8_t *text, uint32_t size) {
  uint32_t at = 0;
  while (at < size) {
    uint8_t low, high;
    uint8_t lead = text[at++];
    uint32_t tail;
    if (lead < 0x80u) continue;
    tail = ep_wasm_utf8_tail(lead, &low, &high);
    if (tail > size - at) return false;
    for (; tail > 0u; tail--, at++) {
      if (text[at] < low || text[at] > high) return false;
      low = 0x80u;
      high = 0xBFu;
    }
  }
  return true;
}

const uint8_t *ep_wasm_read_name(ep_wasm_reader_t *reader, uint32_t *size) {
  uint32_t length = ep_wasm_read_u32(reader);
  const uint8_t *name = reader->code + reader->at;
  ep_wasm_skip(reader, length);
  *size = ep_wasm_ok(reader) ? length : 0u;
  if (!ep_wasm_utf8_valid(name, *size)) ep_wasm_fail(reader, EP_WASM_MALFORMED, "UTF-8");
  return name;
}

uint8_t ep_wasm_read_value_type(ep_wasm_reader_t *reader) {
  uint8_t type = ep_wasm_read_byte(reader);
  if (type >= 0x7Cu && type <= 0x7Fu) return type;
  if (type == 0x7Bu)
    ep_wasm_fail(reader, EP_WASM_UNSUPPORTED, "vector types");
  else if (type == 0x70u || type == 0x6Fu)
    ep_wasm_fail(reader, EP_WASM_UNSUPPORTED, "reference types");
  else
    ep_wasm_fail(reader, EP_WASM_MALFORMED, "value type");
  return 0x7Fu;
}

uint32_t ep_wasm_read_count(ep_wasm_reader_t *reader) {
  uint32_t count = ep_wasm_read_u32(reader);
  if (count > reader->end - reader->at) ep_wasm_fail(reader, EP_WASM_MALFORMED, "unexpected end");
  return ep_wasm_ok(reader) ? count : 0u;
}
