/* The smallest test frame that reads well. A test program:
 *
 *   int main(void) {
 *     TEST("a cut while the record is written leaves the slot empty") {
 *       CHECK(ep_slot_empty(&slot));
 *       CHECK_EQ(slot.size, 0);
 *     }
 *     return check_done();
 *   }
 *
 * Prints one TAP line a test (`ok - sentence`, `not ok - sentence`), each failed check as a `#` line before it, and
 * exits with 1 if any test failed. A failed check does not end its test.
 */
#ifndef EP_TESTS_CHECK_H
#define EP_TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static int check_failed_tests;
static int check_tests;
static bool check_test_failed;
static const char *check_sentence;

static inline bool check_begin(const char *sentence) {
  check_sentence = sentence;
  check_test_failed = false;
  check_tests += 1;
  return true;
}

static inline bool check_end(void) {
  printf("%s - %s\n", check_test_failed ? "not ok" : "ok", check_sentence);
  fflush(stdout); /* a crash in the next test must not take this line along */
  check_failed_tests += check_test_failed;
  return false;
}

static inline bool check_true(bool holds, const char *text, const char *file, int line) {
  if (!holds) {
    printf("# %s:%d: %s\n", file, line, text);
    check_test_failed = true;
  }
  return holds;
}

static inline bool check_equal(long long actual, long long expected, const char *text, const char *file,
                               int line) {
  if (actual != expected) {
    printf("# %s:%d: %s: got %lld (0x%llx), expected %lld (0x%llx)\n", file, line, text, actual,
           (unsigned long long)actual, expected, (unsigned long long)expected);
    check_test_failed = true;
  }
  return actual == expected;
}

static inline bool check_bytes(const void *actual, const void *expected, size_t size, const char *text,
                               const char *file, int line) {
  const unsigned char *a = (const unsigned char *)actual;
  const unsigned char *e = (const unsigned char *)expected;
  for (size_t i = 0; i < size; i++) {
    if (a[i] != e[i]) {
      printf("# %s:%d: %s: byte %zu of %zu is 0x%02x, expected 0x%02x\n", file, line, text, i, size, a[i],
             e[i]);
      check_test_failed = true;
      return false;
    }
  }
  return true;
}

/* A program without a single test has tested nothing. */
static inline int check_done(void) {
  printf("1..%d\n", check_tests);
  return check_failed_tests > 0 || check_tests == 0;
}

#define TEST(sentence)   for (bool check_once = check_begin(sentence); check_once; check_once = check_end())
#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(actual, expected)                                                                           \
  check_equal((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)
#define CHECK_BYTES(actual, expected, size)                                                                  \
  check_bytes((actual), (expected), (size), #actual, __FILE__, __LINE__)

#endif
