#include "link/cobs.h"

/* A code byte n stands before n − 1 bytes of data; n < 0xFF also stands for the zero that followed them. */
#define FULL_GROUP 0xffu

size_t ep_cobs_encode(const uint8_t *data, size_t size, uint8_t *out) {
  size_t written = 1;
  size_t code_at = 0;
  uint8_t code = 1;

  for (size_t i = 0; i < size; i++) {
    /* a full group is closed only when more data follows: at the very end it needs no group behind it */
    if (code == FULL_GROUP) {
      out[code_at] = code;
      code_at = written++;
      code = 1;
    }
    if (data[i] != 0) {
      out[written++] = data[i];
      code++;
    } else {
      out[code_at] = code;
      code_at = written++;
      code = 1;
    }
  }
  out[code_at] = code;
  return written;
}

int32_t ep_cobs_decode(uint8_t *data, size_t size) {
  size_t read = 0;
  size_t written = 0;

  if (size == 0 || size > INT32_MAX) return -1; /* even an empty message is one byte, 0x01 */
  while (read < size) {
    size_t code = data[read++];
    if (code == 0 || code - 1 > size - read) return -1;
    /* in place: the code byte itself makes room, so `written` never overtakes `read` */
    for (size_t end = read + code - 1; read != end; read++) {
      if (data[read] == 0) return -1;
      data[written++] = data[read];
    }
    /* the last group's zero is the one that the delimiter stands for */
    if (code != FULL_GROUP && read < size) data[written++] = 0;
  }
  return (int32_t)written;
}
