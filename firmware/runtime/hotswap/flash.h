/* Flash as the hot-swap engine uses it: every program is read back, every reading that something is decided
 * by is made three times, and what was done is counted. Bottom layer of this folder.
 */
#ifndef EP_HOTSWAP_FLASH_H
#define EP_HOTSWAP_FLASH_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint32_t erases; /* operations since boot */
  uint32_t programs;
} ep_flash_t;

/* What three readings of a place say. */
typedef enum {
  EP_FLASH_BLANK, /* every bit 1, three times */
  EP_FLASH_DATA,  /* the same bytes three times, not blank */
  EP_FLASH_TORN   /* different from reading to reading, or unreadable */
} ep_flash_state_t;

/* One reading. A read error is a reading that failed, not yet a place that can't be read: it is tried three times. */
int ep_flash_fetch(uint32_t address, void *buffer, uint32_t size);

/* Reads `size` bytes three times into `buffer`. */
ep_flash_state_t ep_flash_read(uint32_t address, void *buffer, uint32_t size);

/* Compares flash with `data`, or with 0xFF if `data` is NULL: EP_OK, EP_ERR_READ_BACK, EP_ERR_ECC or EP_ERR_FLASH. */
int ep_flash_compare(uint32_t address, const void *data, uint32_t size);

/* Erases the page that `address` lies in. EP_OK or EP_ERR_FLASH. */
int ep_flash_erase(ep_flash_t *flash, uint32_t address);

/* Programs whole units, split as the board wants it, and reads them back. EP_OK, EP_ERR_FLASH,
 * EP_ERR_READ_BACK or EP_ERR_ECC. */
int ep_flash_program(ep_flash_t *flash, uint32_t address, const void *data, uint32_t size);

#endif
