/* The conformance image's request loop and the two functions that it needs of whoever runs it. */
#ifndef EP_CONFORMANCE_SERVE_H
#define EP_CONFORMANCE_SERVE_H

#include <stddef.h>

/* Answers requests until `Q` or the end of the input. */
void ep_conformance_serve(void);

/* The next byte, 0 to 255; waits for it. −1 at the end of the input. */
int ep_conformance_read(void);

void ep_conformance_write(const char *bytes, size_t size);

#endif
