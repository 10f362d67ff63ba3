/* The request loop on stdin and stdout, so that suites run fast and under the sanitizers. */
#include <stdio.h>

#include "serve.h"

int ep_conformance_read(void) {
  return getchar(); /* EOF is −1 */
}

void ep_conformance_write(const char *bytes, size_t size) {
  (void)fwrite(bytes, 1, size, stdout);
  (void)fflush(stdout);
}

int main(void) {
  ep_conformance_serve();
  return 0;
}
