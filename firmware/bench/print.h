/* Words and numbers on the first UART. */
#ifndef EP_BENCH_PRINT_H
#define EP_BENCH_PRINT_H

#include <stdint.h>

void ep_print(const char *text);
void ep_print_number(uint64_t number); /* with a space before it */

#endif
