/* A mutator that knows the frame of a module: it changes the contents of one section, or of one function's body, and
 * puts the sizes around them right. Without it nearly every change would end at a size that no longer fits. */
#include "mutate.h"

#include <string.h>

#include "fuzz.h"

#define CODE 10u
#define ROOM 16384u

typedef struct {
  const uint8_t *at;
  size_t left;
} span_t;

static bool take_leb(span_t *span, uint32_t *value) {
  *value = 0;
  for (uint32_t shift = 0; shift < 35u && span->left > 0u; shift += 7u) {
    uint32_t byte = *span->at++;
    span->left--;
    *value |= (byte & 0x7Fu) << shift % 32u;
    if (byte < 0x80u) return true;
  }
  return false;
}

static size_t put_leb(uint8_t *to, size_t value) {
  size_t size = 0;
  do {
    to[size] = (uint8_t)((value & 0x7Fu) | (value > 0x7Fu ? 0x80u : 0u));
    value >>= 7;
    size++;
  } while (value != 0u);
  return size;
}

/* The `wanted`-th part of a size and so many bytes, each after `head` bytes of something else, counted around. */
static bool find_part(span_t span, size_t head, uint32_t wanted, const uint8_t **size_at, span_t *part) {
  span_t parts[64];
  const uint8_t *sizes[64];
  uint32_t count = 0, size;
  while (count < 64u && span.left > head) {
    span.at += head;
    span.left -= head;
    sizes[count] = span.at;
    if (!take_leb(&span, &size) || size > span.left) break;
    parts[count] = (span_t){span.at, size};
    span.at += size;
    span.left -= size;
    count++;
  }
  if (count == 0u) return false;
  *size_at = sizes[wanted % count];
  *part = parts[wanted % count];
  return true;
}

/* Copies `whole` with the bytes from `from` to `to` replaced by a size and `bytes`. */
static size_t replace(uint8_t *out, span_t whole, const uint8_t *from, const uint8_t *to,
                      const uint8_t *bytes, size_t size) {
  size_t before = (size_t)(from - whole.at), after = whole.left - (size_t)(to - whole.at), at = before;
  memcpy(out, whole.at, before);
  at += put_leb(out + at, size);
  memcpy(out + at, bytes, size);
  memcpy(out + at + size, to, after);
  return at + size + after;
}

size_t fuzz_mutate_module(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  static uint8_t contents[2u * ROOM], section[3u * ROOM], whole[4u * ROOM];
  const uint8_t *section_size, *body_size;
  span_t all = {data, size}, part, body;
  size_t length;
  if (seed % 8u == 0u || size < 10u || size > ROOM || max_size > ROOM ||
      !find_part((span_t){data + 8, size - 8u}, 1, seed >> 3, &section_size, &part)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  if (section_size[-1] == CODE && part.left > 1u && seed >> 12 & 1u) {
    uint32_t count;
    span_t bodies = part;
    if (!take_leb(&bodies, &count) || !find_part(bodies, 0, seed >> 13, &body_size, &body)) {
      return LLVMFuzzerMutate(data, size, max_size);
    }
    memcpy(contents, body.at, body.left);
    length = LLVMFuzzerMutate(contents, body.left, body.left + 32u);
    length = replace(section, part, body_size, body.at + body.left, contents, length);
  } else {
    memcpy(section, part.at, part.left);
    length = LLVMFuzzerMutate(section, part.left, part.left + 32u);
  }
  length = replace(whole, all, section_size, part.at + part.left, section, length);
  if (length > max_size) return LLVMFuzzerMutate(data, size, max_size);
  memcpy(data, whole, length);
  return length;
}
