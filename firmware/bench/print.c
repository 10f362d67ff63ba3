#include "print.h"

#include "ast1030.h"

void ep_print(const char *text) {
  for (; *text != '\0'; text++) {
    while ((UART_LSR(UART5) & LSR_TX_EMPTY) == 0u) continue;
    UART_DATA(UART5) = (uint8_t)*text;
  }
}

void ep_print_number(uint64_t number) {
  char digits[22];
  char *digit = &digits[sizeof digits - 1u];

  *digit = '\0';
  do {
    *--digit = (char)('0' + number % 10u);
    number /= 10u;
  } while (number > 0u);
  *--digit = ' ';
  ep_print(digit);
}
