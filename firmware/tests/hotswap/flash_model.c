#include "flash_model.h"

#include <string.h>

#include "errors.h"

#define PROGRAMMED 1u
#define TORN       2u /* nobody can know what is in there; it takes an erase to use it again */
#define UNREADABLE 4u

static flash_t *device;
static flash_hook_fn watcher;
static void *watcher_context;

static const ep_board_map_t maps[] = {
    {.slot_address = {0x0000, 0x3800},
     .journal_address = 0x7000,
     .journal_half_size = 0x1000,
     .erase_size = 0x800,
     .program_max = 8,
     .board_class = 3,
     .tick_us = 1000,
     .nanos_per_fuel = 130,
     .inputs = 4,
     .outputs = 4},
    {.slot_address = {0x0000, 0x4000},
     .journal_address = 0x8000,
     .journal_half_size = 0x2000,
     .erase_size = 0x1000,
     .program_max = 256,
     .board_class = 2,
     .tick_us = 1000,
     .nanos_per_fuel = 130,
     .inputs = 4,
     .outputs = 4},
};

const ep_board_map_t *flash_map(flash_geometry_t geometry) {
  return &maps[geometry];
}

const ep_board_map_t *ep_board_map(void) {
  return &maps[device->geometry];
}

uint32_t flash_random(uint32_t *seed) {
  uint32_t x = *seed != 0u ? *seed : 0x9E3779B9u;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *seed = x;
}

void flash_init(flash_t *flash, flash_geometry_t geometry, uint32_t seed) {
  memset(flash, 0, sizeof *flash);
  memset(flash->bytes, 0xFF, sizeof flash->bytes);
  flash->geometry = geometry;
  flash->seed = seed;
}

flash_t *flash_use(flash_t *flash) {
  flash_t *before = device;
  device = flash;
  return before;
}

void flash_watch(flash_hook_fn hook, void *context) {
  watcher = hook;
  watcher_context = context;
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  uint8_t *out = buffer;
  uint32_t first = address & ~7u, last = (address + size + 7u) & ~7u;
  if (device->off_limits) return EP_ERR_OPTION_BYTES;
  if (size > FLASH_SIZE || address > FLASH_SIZE - size) {
    device->violations++;
    return EP_ERR_FLASH;
  }
  if (device->fail_read > 0u && --device->fail_read == 0u) return EP_ERR_ECC;
  if (size == 0u ||
      (!device->faulty[address / 2048u] && !device->faulty[(address + size - 1u) / 2048u] && size <= 2048u)) {
    memcpy(buffer, device->bytes + address, size);
    return EP_OK;
  }
  for (uint32_t i = first; i < last; i++) {
    if ((device->flags[i] & UNREADABLE) != 0u) return EP_ERR_ECC;
  }
  for (uint32_t i = 0; i < size; i++) {
    uint8_t mask = device->unstable[address + i];
    out[i] = device->bytes[address + i];
    if (mask != 0u) out[i] ^= (uint8_t)(flash_random(&device->seed) >> 9) & mask;
  }
  return EP_OK;
}

static void announce(const flash_operation_t *operation) {
  if (watcher != NULL) watcher(watcher_context, operation);
  device->operations++;
}

static void erase_range(flash_t *flash, uint32_t address, uint32_t size) {
  memset(flash->bytes + address, 0xFF, size);
  memset(flash->unstable + address, 0, size);
  memset(flash->flags + address, 0, size);
  memset(flash->faulty + address / 2048u, 0, size / 2048u);
}

int ep_board_flash_erase(uint32_t address) {
  const flash_operation_t operation = {true, address, maps[device->geometry].erase_size, NULL};
  if (address % operation.size != 0u || address >= FLASH_SIZE) {
    device->violations++;
    return EP_ERR_FLASH;
  }
  announce(&operation);
  erase_range(device, address, operation.size);
  return EP_OK;
}

int ep_board_flash_program(uint32_t address, const void *data, uint32_t size) {
  const flash_operation_t operation = {false, address, size, data};
  uint32_t most = maps[device->geometry].program_max;
  bool torn = false;
  if (size == 0u || size % 8u != 0u || address % 8u != 0u || address / most != (address + size - 1u) / most ||
      address > FLASH_SIZE - size) {
    device->violations++;
    return EP_ERR_FLASH;
  }
  announce(&operation);
  for (uint32_t i = 0; i < size; i++) {
    torn = torn || (device->flags[address + i] & (TORN | UNREADABLE)) != 0u;
    if (device->flags[address + i] == PROGRAMMED) device->violations++;
  }
  if (torn || device->violations > 0u) return EP_ERR_FLASH;
  for (uint32_t i = 0; i < size; i++) {
    device->bytes[address + i] &= operation.data[i];
    /* In NOR a byte that was programmed with ones is still blank. */
    if (device->geometry == FLASH_L5 || operation.data[i] != 0xFFu) device->flags[address + i] = PROGRAMMED;
  }
  return EP_OK;
}

/* The state of one byte after a cut that wanted to make it `wanted`. */
static void tear_byte(flash_t *flash, uint32_t at, uint8_t wanted, cut_shape_t shape, bool first_half) {
  uint8_t changing = flash->bytes[at] ^ wanted;
  uint8_t some = (uint8_t)(flash_random(&flash->seed) >> 7),
          others = (uint8_t)(flash_random(&flash->seed) >> 7);
  flash->flags[at] = TORN;
  flash->faulty[at / 2048u] = true;
  switch (shape) {
  case CUT_HALF:
    if (first_half) flash->bytes[at] = wanted;
    break;
  case CUT_OTHER_HALF:
    if (!first_half) flash->bytes[at] = wanted;
    break;
  case CUT_RANDOM: flash->bytes[at] ^= changing & some; break;
  case CUT_UNSTABLE: flash->unstable[at] |= changing; break;
  case CUT_HALF_UNSTABLE:
    flash->bytes[at] ^= changing & some;
    flash->unstable[at] |= changing & others & (uint8_t)~some;
    break;
  case CUT_WEAK:
    flash->bytes[at] = wanted;
    /* One bit in a while: so few that three readings often agree. */
    if (some < 24u) flash->unstable[at] |= changing & others & (uint8_t)-others;
    break;
  case CUT_ECC:
    flash->bytes[at] = wanted;
    flash->flags[at] |= UNREADABLE;
    break;
  default: break;
  }
}

void flash_tear(flash_t *flash, const flash_operation_t *operation, cut_shape_t shape) {
  if (shape == CUT_BEFORE) return;
  for (uint32_t i = 0; i < operation->size; i++) {
    uint32_t at = operation->address + i;
    uint8_t wanted = operation->erase ? 0xFFu : flash->bytes[at] & operation->data[i];
    if (shape == CUT_AFTER) {
      bool torn = !operation->erase && (flash->flags[at] & TORN) != 0u;
      if (torn) continue;
      flash->bytes[at] = wanted;
      if (operation->erase) {
        flash->unstable[at] = 0;
        flash->flags[at] = 0;
      } else if (flash->geometry == FLASH_L5 || operation->data[i] != 0xFFu) {
        flash->flags[at] = PROGRAMMED;
      }
      continue;
    }
    tear_byte(flash, at, wanted, shape, i < operation->size / 2u);
  }
}

void flash_rot(flash_t *flash, uint32_t address, uint32_t bit) {
  flash->bytes[address] ^= (uint8_t)(1u << bit);
}

void flash_break_unit(flash_t *flash, uint32_t address) {
  flash->faulty[address / 2048u] = true;
  memset(flash->flags + (address & ~7u), PROGRAMMED | UNREADABLE, 8);
}
