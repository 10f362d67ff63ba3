/* What the bench image counts. Each part of the runtime brings a file with its workloads, and its lines in table.c. */
#ifndef EP_BENCH_BENCH_H
#define EP_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t instructions;
  uint32_t stack; /* bytes below the caller's frame */
} ep_bench_result_t;

/* Counts one run of it. */
ep_bench_result_t ep_bench_measure(void (*run)(void));

typedef struct {
  const char *name;      /* one word */
  void (*prepare)(void); /* not counted; may be NULL */
  void (*run)(void);
  bool (*good)(void); /* whether the run did what it should; may be NULL */
} ep_bench_t;

/* Ends with a NULL name. */
extern const ep_bench_t ep_bench_table[];

/* Whether there is a file job.bin; what it asks for (see job.c), false if that can't be done. */
bool ep_bench_has_job(void);
bool ep_bench_job(void);

void ep_bench_message_prepare(void);
void ep_bench_crc32_256(void);
bool ep_bench_crc32_good(void);
void ep_bench_copy_256(void);
bool ep_bench_copy_good(void);
void ep_bench_sha512_prepare(void);
void ep_bench_sha512_block(void);
bool ep_bench_sha512_good(void);
void ep_bench_ed25519_verify(void);
bool ep_bench_ed25519_good(void);
void ep_bench_field_check(void);
bool ep_bench_field_good(void);

#endif
