#include "wasm/load.h"

uint8_t ep_wasm_read_byte(LOADER) {
  if (loader->at >= loader->end) {
    ep_wasm_refuse(WITH_ EP_REFUSE_unexpected_end);
    return 0;
  }
  return loader->code[loader->at++];
}

void ep_wasm_skip(LOADER_ uint32_t size) {
  if (size > loader->end - loader->at)
    ep_wasm_refuse(WITH_ EP_REFUSE_unexpected_end);
  else
    loader->at += size;
}

/* LEB128 (5.2.2) of at most `most` bytes, in the last of which `used` bits count; the unused ones repeat the sign. */
static uint64_t ep_wasm_read_leb(LOADER_ uint32_t most, uint32_t used, bool is_signed) {
  const uint32_t start = loader->at;
  uint64_t value;
  uint32_t byte;
  do byte = ep_wasm_read_byte(WITH);
  while (byte >= 0x80u && loader->at - start < most);
  if (loader->at - start == most) {
    const uint32_t sign = used - (is_signed ? 1u : 0u);
    const uint32_t excess = (byte & 0x7Fu) >> sign;
    if (byte >= 0x80u)
      ep_wasm_refuse(WITH_ EP_REFUSE_integer_too_long);
    else if (excess != 0u && (!is_signed || excess != 0x7Fu >> sign))
      ep_wasm_refuse(WITH_ EP_REFUSE_integer_too_large);
  }
  /* from the last byte to the first: shifts by 7 are cheap where those by a variable are not */
  value = is_signed && (byte & 0x40u) != 0u ? UINT64_MAX : 0u;
  for (uint32_t at = loader->at; at > start; at--) value = value << 7 | (loader->code[at - 1u] & 0x7Fu);
  loader->number = (uint32_t)value;
  return value;
}

uint32_t ep_wasm_read_u32(LOADER) {
  return (uint32_t)ep_wasm_read_leb(WITH_ 5, 4, false);
}

uint32_t ep_wasm_read_index(LOADER_ uint32_t count, ep_wasm_refusal_t why) {
  const uint32_t index = ep_wasm_read_u32(WITH);
  if (index < count) return index;
  ep_wasm_refuse(WITH_ why);
  return 0;
}

int64_t ep_wasm_read_signed(LOADER_ uint32_t bits) {
  const uint32_t most = bits == 64u ? 10u : 5u;
  return (int64_t)ep_wasm_read_leb(WITH_ most, bits - 7u * (most - 1u), true);
}

/* UTF-8 (Unicode 3.9): of the shortest form, and neither a surrogate nor beyond the last code point. */
static bool ep_wasm_utf8_valid(const uint8_t *text, uint32_t size) {
  uint32_t at = 0;
  while (at < size) {
    uint32_t code = text[at++];
    uint32_t tail;
    if (code < 0x80u) continue;
    tail = code >= 0xF0u ? 3u : code >= 0xE0u ? 2u : 1u;
    if (code < 0xC2u || code > 0xF4u || tail > size - at) return false;
    code &= 0x3Fu >> tail;
    for (uint32_t end = at + tail; at < end; at++) {
      if ((text[at] & 0xC0u) != 0x80u) return false;
      code = code << 6 | (text[at] & 0x3Fu);
    }
    /* of two bytes, none that starts with 0xC2 is too long; 0x1B are the surrogates' upper bits */
    if (code < 2u << 5u * tail || code > 0x10FFFFu || code >> 11 == 0x1Bu) return false;
  }
  return true;
}

const uint8_t *ep_wasm_read_name(LOADER_ uint32_t *size) {
  uint32_t length = ep_wasm_read_u32(WITH);
  const uint8_t *name = loader->code + loader->at;
  ep_wasm_skip(WITH_ length);
  *size = ep_wasm_ok(WITH) ? length : 0u;
  if (!ep_wasm_utf8_valid(name, *size)) ep_wasm_refuse(WITH_ EP_REFUSE_utf8);
  return name;
}

uint8_t ep_wasm_read_value_type(LOADER) {
  uint8_t type = ep_wasm_read_byte(WITH);
  if (type >= 0x7Cu && type <= 0x7Fu) return type;
  ep_wasm_refuse(WITH_ type == 0x7Bu              ? EP_REFUSE_vector_types
                 : type == 0x70u || type == 0x6Fu ? EP_REFUSE_reference_types
                                                  : EP_REFUSE_value_type);
  return 0x7Fu;
}

uint32_t ep_wasm_read_count(LOADER) {
  uint32_t count = ep_wasm_read_u32(WITH);
  if (count > loader->end - loader->at) ep_wasm_refuse(WITH_ EP_REFUSE_unexpected_end);
  return ep_wasm_ok(WITH) ? count : 0u;
}
