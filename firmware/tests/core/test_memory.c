/* The runtime's own memory functions, compiled here under other names and compared with the machine's. */
#include "check.h"

#define memcpy  ep_memcpy
#define memmove ep_memmove
#define memset  ep_memset
#define memcmp  ep_memcmp
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *left, const void *right, size_t size);
#include "core/memory.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#define SPAN 96

static unsigned char ours[SPAN], theirs[SPAN];

static void fill(void) {
  for (int i = 0; i < SPAN; i++) ours[i] = theirs[i] = (unsigned char)(i * 37 + 11);
}

int main(void) {
  TEST("memcpy copies every size at every alignment and touches nothing beside") {
    for (size_t to = 0; to < 8; to++)
      for (size_t from = 48; from < 56; from++)
        for (size_t size = 0; size <= 40; size++) {
          fill();
          CHECK(ep_memcpy(ours + to, ours + from, size) == ours + to);
          memcpy(theirs + to, theirs + from, size);
          CHECK_BYTES(ours, theirs, SPAN);
        }
  }
  TEST("memmove moves overlapping bytes in either direction") {
    for (size_t to = 0; to < 48; to++)
      for (size_t from = 0; from < 48; from++)
        for (size_t size = 0; size <= 48; size += 3) {
          fill();
          CHECK(ep_memmove(ours + to, ours + from, size) == ours + to);
          memmove(theirs + to, theirs + from, size);
          CHECK_BYTES(ours, theirs, SPAN);
        }
  }
  TEST("memset sets every size at every alignment, and only the low byte of its value") {
    for (size_t to = 0; to < 8; to++)
      for (size_t size = 0; size <= 40; size++) {
        fill();
        CHECK(ep_memset(ours + to, 0x1A5, size) == ours + to);
        memset(theirs + to, 0xA5, size);
        CHECK_BYTES(ours, theirs, SPAN);
      }
  }
  TEST("memcmp orders bytes as unsigned") {
    CHECK_EQ(ep_memcmp("\x7f", "\x80", 1), -1);
    CHECK_EQ(ep_memcmp("ab\xff", "ab\x01", 3), 1);
    CHECK_EQ(ep_memcmp("ab\xff", "ab\x01", 2), 0);
    CHECK_EQ(ep_memcmp("a", "b", 0), 0);
  }
  return check_done();
}
