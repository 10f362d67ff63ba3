#include "core/board.h"

int main(void);

int main(void) {
  ep_runtime_start();
  for (;;) ep_runtime_poll();
}
