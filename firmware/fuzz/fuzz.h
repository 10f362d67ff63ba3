/* What all targets share: how a law is checked, and how the bytes of an input are spent. */
#ifndef EP_FUZZ_FUZZ_H
#define EP_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A law that doesn't hold is a finding, as much as a byte out of bounds is. */
#define FUZZ_CHECK(condition)                                                                                \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                         \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

/* An input is spent byte by byte on decisions; when it is used up all of them are 0. */
typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} fuzz_input_t;

static inline bool fuzz_more(const fuzz_input_t *input) {
  return input->at < input->end;
}

static inline uint32_t fuzz_u8(fuzz_input_t *input) {
  return fuzz_more(input) ? *input->at++ : 0u;
}

static inline uint32_t fuzz_u16(fuzz_input_t *input) {
  uint32_t low = fuzz_u8(input);
  return low | fuzz_u8(input) << 8;
}

static inline uint32_t fuzz_u32(fuzz_input_t *input) {
  uint32_t low = fuzz_u16(input);
  return low | fuzz_u16(input) << 16;
}

/* Up to `most` bytes, as they lie; how many in `size`. */
static inline const uint8_t *fuzz_bytes(fuzz_input_t *input, uint32_t most, uint32_t *size) {
  const uint8_t *bytes = input->at;
  size_t left = (size_t)(input->end - input->at);
  *size = left < most ? (uint32_t)left : most;
  input->at += *size;
  return bytes;
}

/* What libFuzzer calls, and what it offers to a mutator of one's own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#endif
