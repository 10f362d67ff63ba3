#include "bench.h"

#include <stddef.h>

const ep_bench_t ep_bench_table[] = {
    {"crc32_256_bytes", ep_bench_message_prepare, ep_bench_crc32_256, ep_bench_crc32_good},
    {"copy_256_bytes", ep_bench_message_prepare, ep_bench_copy_256, ep_bench_copy_good},
    {"sha512_block", ep_bench_sha512_prepare, ep_bench_sha512_block, ep_bench_sha512_good},
    {"ed25519_verify_300_bytes", ep_bench_message_prepare, ep_bench_ed25519_verify, ep_bench_ed25519_good},
    {"field25519_check", NULL, ep_bench_field_check, ep_bench_field_good},
    {NULL, NULL, NULL, NULL},
};
