/* Flash that refuses what silicon refuses, and loses power when a test wants it to. Implements the
 * ep_board_flash_ functions of core/board.h on the device that flash_use() chose.
 *
 * Two geometries: the STM32L5 (2 KiB pages, 8-byte units with ECC, each programmed once after an erase) and SPI NOR
 * (4 KiB erases, programs of up to 256 bytes, a byte that is still blank may be programmed later). What the silicon
 * doesn't do fails, and is counted as a violation if the caller should have known better.
 */
#ifndef EP_TESTS_FLASH_MODEL_H
#define EP_TESTS_FLASH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/board.h"

#define FLASH_SIZE 0xC000u

typedef enum { FLASH_L5, FLASH_NOR } flash_geometry_t;

/* What a cut leaves of the operation it hits. */
typedef enum {
  CUT_BEFORE,        /* nothing happened */
  CUT_HALF,          /* the first half is done */
  CUT_OTHER_HALF,    /* the second half is done */
  CUT_RANDOM,        /* some bits have changed, for good */
  CUT_UNSTABLE,      /* every bit that was to change reads anew each time */
  CUT_HALF_UNSTABLE, /* some have changed, some are unstable */
  CUT_WEAK,          /* all is done, but some of the bits are unstable */
  CUT_ECC,           /* what was touched can't be read */
  CUT_AFTER,         /* done, but nothing after it */
  CUT_SHAPES
} cut_shape_t;

typedef struct {
  flash_geometry_t geometry;
  uint32_t seed;       /* of tears and of unstable bits */
  uint32_t operations; /* erases and programs so far */
  uint32_t violations; /* things that no silicon does */
  uint32_t fail_read;  /* the so-manieth read from now fails, once; 0 = none */
  bool off_limits;     /* the board leaves its flash alone: its option bytes are wrong */
  uint8_t bytes[FLASH_SIZE];
  uint8_t unstable[FLASH_SIZE];
  uint8_t flags[FLASH_SIZE];
  bool faulty[FLASH_SIZE /
              2048u]; /* something in these 2 KiB does not read as it should: all others read fast */
} flash_t;

typedef struct {
  bool erase;
  uint32_t address;
  uint32_t size;
  const uint8_t *data;
} flash_operation_t;

/* Called before each operation of the device in use. */
typedef void (*flash_hook_fn)(void *context, const flash_operation_t *operation);

void flash_init(flash_t *flash, flash_geometry_t geometry, uint32_t seed);

/* Chooses the device that the engine sees, and who watches it (NULL: nobody). Returns the one before. */
flash_t *flash_use(flash_t *flash);
void flash_watch(flash_hook_fn hook, void *context);

/* Does to `flash` what a cut in the middle of `operation` does. */
void flash_tear(flash_t *flash, const flash_operation_t *operation, cut_shape_t shape);

/* Flips one bit at rest. */
void flash_rot(flash_t *flash, uint32_t address, uint32_t bit);

/* Makes the unit at `address` unreadable. */
void flash_break_unit(flash_t *flash, uint32_t address);

uint32_t flash_random(uint32_t *seed);
const ep_board_map_t *flash_map(flash_geometry_t geometry);

#endif
