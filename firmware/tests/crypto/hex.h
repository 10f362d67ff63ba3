/* Bytes written as hex digits, as the standards print them. */
#ifndef EP_TESTS_CRYPTO_HEX_H
#define EP_TESTS_CRYPTO_HEX_H

#include <stddef.h>
#include <stdint.h>

static inline uint8_t hex_digit(char digit) {
  return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Returns how many bytes `text` stood for. */
static inline size_t hex_decode(uint8_t *out, const char *text) {
  size_t size = 0;
  for (; *text != '\0'; text += 2) out[size++] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
  return size;
}

#endif
