/* Any bytes in flash: the board boots, comes to rest, answers whatever it is asked, and takes a further update, or says
 * which of the few good reasons not to it has.
 *
 * Input: a board to begin with and why it starts, then what is done to its flash (see `damage`): bytes as they are, or
 * with the CRC that makes a reader believe them.
 */
#include <string.h>

#include <pb_encode.h>

#include "crypto/crc32.h"
#include "fuzz.h"
#include "states.h"

#define MOST_DAMAGE 12u
#define ENTRY_SIZE  32u

static fuzz_package_t update, forged;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  fuzz_states_make();
  return 0;
}

/* ---- damage ---------------------------------------------------------------------------------------------------------- */

static uint32_t record_at(uint32_t slot) {
  return ep_board_map()->slot_address[slot & 1u] + EP_RECORD_PAYLOAD_MAX;
}

static uint32_t half_at(uint32_t half) {
  return ep_board_map()->journal_address + (half & 1u) * ep_board_map()->journal_half_size;
}

/* A place by area and offset, so that a byte or two reach what matters. */
static uint32_t place(fuzz_input_t *input) {
  uint32_t area = fuzz_u8(input) % 7u, offset = fuzz_u16(input), at;
  switch (area) {
  case 0:
  case 1: at = record_at(area) + offset % EP_RECORD_SIZE; break;
  case 2:
  case 3: at = half_at(area) + offset % ep_board_map()->journal_half_size; break;
  case 4:
  case 5: at = ep_board_map()->slot_address[area & 1u] + offset % EP_RECORD_PAYLOAD_MAX; break;
  default: at = offset % FLASH_SIZE;
  }
  return at < FLASH_SIZE ? at : 0u;
}

static bool touched[FLASH_SIZE / 2048u];

static void touch(uint32_t at, uint32_t size) {
  for (uint32_t page = at / 2048u; page <= (at + size - 1u) / 2048u; page++) touched[page] = true;
}

static void put(uint32_t at, const void *bytes, uint32_t size) {
  if (size > FLASH_SIZE - at) size = FLASH_SIZE - at;
  if (size == 0u) return;
  memcpy(fuzz_board_flash()->bytes + at, bytes, size);
  touch(at, size);
}

static void blank(uint32_t at, uint32_t size) {
  memset(fuzz_board_flash()->bytes + at, 0xFF, size);
  touch(at, size);
}

static void raw(fuzz_input_t *input) {
  uint32_t at = place(input), length = fuzz_u8(input), size;
  const uint8_t *bytes = fuzz_bytes(input, length, &size);
  put(at, bytes, size);
}

/* The first blank entry of a half, or some other. */
static uint32_t entry_index(uint32_t half, uint32_t wanted) {
  const uint8_t *bytes = fuzz_board_flash()->bytes + half_at(half);
  uint32_t most = ep_board_map()->journal_half_size / ENTRY_SIZE, index = 0;
  if (wanted < 0x80u) return wanted % most;
  for (uint32_t i = 0; i < most; i++) {
    if (bytes[i * ENTRY_SIZE] != 0xFFu) index = i;
  }
  index += wanted == 0xFFu ? 0u : 1u + (wanted & 1u);
  return index < most ? index : most - 1u;
}

/* A journal entry that holds, at the end of the log or anywhere, with a number that follows or any. */
static void entry(fuzz_input_t *input) {
  ep_journal_entry_t made;
  uint32_t half = fuzz_u8(input), index = entry_index(half, fuzz_u8(input)), sequence = fuzz_u8(input), size;
  const uint8_t *data;
  memset(&made, 0, sizeof made);
  if (index > 0u) {
    memcpy(&made, fuzz_board_flash()->bytes + half_at(half) + (index - 1u) * ENTRY_SIZE, sizeof made);
  }
  made.sequence = sequence < 0x80u ? made.sequence + 1u : made.sequence + sequence * 0x01000193u;
  made.kind = (uint8_t)fuzz_u8(input);
  made.slot = (uint8_t)fuzz_u8(input);
  made.reason = (uint8_t)fuzz_u8(input);
  made.extra = (uint8_t)fuzz_u8(input);
  made.swap_number = fuzz_u8(input);
  if (made.swap_number >= 0x80u) made.swap_number |= 0xFFFFFF00u;
  data = fuzz_bytes(input, fuzz_u8(input) & 15u, &size);
  memcpy(made.u.data, data, size);
  made.crc = ep_crc32(0, &made, sizeof made - sizeof made.crc);
  put(half_at(half) + index * ENTRY_SIZE, &made, sizeof made);
}

static void fix_record(uint32_t slot) {
  ep_record_header_t header;
  memcpy(&header, fuzz_board_flash()->bytes + record_at(slot), sizeof header);
  header.magic = EP_RECORD_MAGIC;
  header.format = EP_RECORD_FORMAT;
  header.crc = ep_crc32(0, &header, EP_RECORD_CRC_OFFSET);
  put(record_at(slot), &header, sizeof header);
}

/* One copy of a mark, or both; valid for the record that is there. */
static void mark(fuzz_input_t *input) {
  uint32_t how = fuzz_u8(input), slot = how & 1u, number = (how >> 1 & 7u) % EP_MARK_COUNT;
  uint32_t reason = number == EP_MARK_REJECTED ? fuzz_u8(input) : 0u;
  uint32_t said = (number + 1u) | reason << 8, unit[2];
  uint32_t at = record_at(slot) + EP_RECORD_MARK_STAGED_OFFSET + number * EP_RECORD_MARK_SIZE;
  unit[0] = said | ~said << 16;
  memcpy(&unit[1], fuzz_board_flash()->bytes + record_at(slot) + EP_RECORD_SWAP_NUMBER_OFFSET, 4);
  unit[1] = ep_crc32(0, unit, sizeof unit);
  if ((how & 0x10u) == 0u) put(at, unit, sizeof unit);
  if ((how & 0x20u) == 0u) put(at + EP_FLASH_UNIT, unit, sizeof unit);
  if ((how & 0x40u) != 0u) blank(at, EP_FLASH_UNIT);
}

/* A whole slot, with a manifest that no Begin would let in. */
static void forge(fuzz_input_t *input) {
  ep_record_header_t header;
  uint32_t how = fuzz_u8(input), slot = how & 1u;
  edgeplug_Manifest *manifest = &forged.manifest;
  forged = *fuzz_package(how >> 1 & 7u);
  for (uint32_t fields = fuzz_u8(input) & 7u; fields > 0u; fields--) {
    uint32_t *const numbers[] = {&manifest->inputs,
                                 &manifest->outputs,
                                 &manifest->limits.memory_bytes,
                                 &manifest->limits.stack_slots,
                                 &manifest->limits.call_depth,
                                 &manifest->limits.io_buffer_bytes,
                                 &manifest->trial.attempts,
                                 &manifest->trial.healthy_scans,
                                 &manifest->trial.deadline_scans,
                                 &manifest->scan_divider,
                                 &manifest->security_version,
                                 &manifest->release,
                                 &manifest->abi,
                                 &manifest->board_class,
                                 &manifest->limits.fuel};
    uint32_t field = fuzz_u8(input) % (sizeof numbers / sizeof numbers[0]), shift = fuzz_u8(input);
    *numbers[field] = fuzz_u8(input) << shift % 32u;
  }
  manifest->limits.fuel %= 2000u; /* what a flash says is no reason to wait for hours */
  if (!fuzz_package_encode(&forged)) return;
  memset(&header, 0, sizeof header);
  header.manifest_length = forged.begin.manifest.size;
  header.swap_number = fuzz_u8(input);
  header.payload_size = forged.size;
  header.payload_crc = manifest->payload_crc32;
  memcpy(header.manifest, forged.begin.manifest.bytes, forged.begin.manifest.size);
  blank(record_at(slot), EP_RECORD_SIZE);
  put(record_at(slot), &header, sizeof header);
  fix_record(slot);
  put(ep_board_map()->slot_address[slot], forged.payload, forged.size);
}

/* One area over another. */
static void copy(fuzz_input_t *input) {
  uint32_t how = fuzz_u8(input), half = ep_board_map()->journal_half_size;
  const uint8_t *bytes = fuzz_board_flash()->bytes;
  uint32_t from = how & 1u;
  if ((how & 2u) != 0u) {
    put(half_at(from ^ 1u), bytes + half_at(from), half);
  } else {
    put(ep_board_map()->slot_address[from ^ 1u], bytes + ep_board_map()->slot_address[from],
        EP_RECORD_SLOT_SIZE);
  }
}

static void damage(fuzz_input_t *input) {
  flash_t *flash = fuzz_board_flash();
  uint32_t at;
  switch (fuzz_u8(input) % 10u) {
  case 0: raw(input); break;
  case 1: entry(input); break;
  case 2: fix_record(fuzz_u8(input)); break;
  case 3: mark(input); break;
  case 4: forge(input); break;
  case 5: copy(input); break;
  case 6: /* erased, from there to the end of the page */
    at = place(input);
    blank(at, ep_board_map()->erase_size - at % ep_board_map()->erase_size);
    break;
  case 7: flash_break_unit(flash, place(input)); break;
  case 8:
    at = place(input);
    flash->unstable[at] = (uint8_t)fuzz_u8(input);
    memset(flash->flags + (at & ~(EP_FLASH_UNIT - 1u)), 2, EP_FLASH_UNIT); /* torn */
    flash->faulty[at / 2048u] = true;
    break;
  default:
    at = place(input);
    flash_rot(flash, at, fuzz_u8(input) & 7u);
    touch(at, 1);
    break;
  }
}

/* What isn't blank has been programmed, and what is blank has been erased. */
static void account(void) {
  flash_t *flash = fuzz_board_flash();
  for (uint32_t unit = 0; unit < FLASH_SIZE; unit += EP_FLASH_UNIT) {
    uint64_t bytes, flags;
    if (!touched[unit / 2048u]) {
      unit += 2048u - EP_FLASH_UNIT;
      continue;
    }
    memcpy(&bytes, flash->bytes + unit, sizeof bytes);
    memcpy(&flags, flash->flags + unit, sizeof flags);
    if ((flags & 0x0606060606060606u) != 0u) continue;
    for (uint32_t i = 0; i < EP_FLASH_UNIT; i++) {
      bool programmed = flash->geometry == FLASH_L5 ? bytes != UINT64_MAX : flash->bytes[unit + i] != 0xFFu;
      flash->flags[unit + i] = programmed;
    }
  }
}

/* ---- what must hold ---------------------------------------------------------------------------------------------------- */

static void ask_everything(void) {
  static const pb_size_t plain[] = {edgeplug_Request_hello_tag,   edgeplug_Request_status_tag,
                                    edgeplug_Request_spent_tag,   edgeplug_Request_list_keys_tag,
                                    edgeplug_Request_history_tag, edgeplug_Request_call_tag};
  edgeplug_Request request = edgeplug_Request_init_zero;
  for (uint32_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
    request.which_body = plain[i];
    (void)fuzz_board_request(&request);
  }
  request.which_body = edgeplug_Request_slot_tag;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    request.body.slot.slot = slot;
    (void)fuzz_board_request(&request);
  }
}

/* A publisher's key of the board's own, to sign with; false if it has none. */
static bool sign(edgeplug_Begin *begin) {
  const ep_journal_t *journal = &ep_runtime.hotswap.journal;
  uint8_t key[32];
  for (uint32_t index = 0; index < journal->keys; index++) {
    if (ep_journal_key(journal, index, key) != edgeplug_KeyRole_KEY_ROLE_PUBLISHER) continue;
    fuzz_package_sign(begin, key);
    return true;
  }
  return false;
}

/* A key whose entries are whole but name no role: forged, for no cut and no rot leaves a good CRC. Such a journal can't
 * be compacted, and ends full. */
static bool role_is_missing(void) {
  const ep_journal_t *journal = &ep_runtime.hotswap.journal;
  uint8_t key[32];
  for (uint32_t index = 0; index < journal->keys; index++)
    if (ep_journal_key(journal, index, key) == 0u) return true;
  return false;
}

/* A journal that is lost fails closed; a locked board without a publisher's key can't be told anything; swap numbers
 * and security versions may be used up; and what runs may leave no time for another one beside it. */
static bool may_refuse(int error) {
  const ep_hotswap_t *engine = &ep_runtime.hotswap;
  return (error == EP_ERR_JOURNAL && engine->journal.damaged) || error == EP_ERR_SWAP_NUMBERS ||
         role_is_missing() || (error == EP_ERR_FUEL && engine->active_fuel > 2000u);
}

/* Law 3: no lock-out. */
static void check_update(void) {
  const ep_journal_entry_t *state = &ep_runtime.hotswap.journal.kept[EP_KEPT_STATE];
  uint32_t number;
  int error;
  update = *fuzz_package(FUZZ_CONTROL);
  strcpy(update.manifest.name, "law 3");
  update.manifest.state_id = 0; /* what runs may be unable to save: nothing is asked of it */
  update.manifest.security_version = state->u.state.security_version;
  FUZZ_CHECK(fuzz_package_encode(&update));
  if (ep_hotswap_locked(&ep_runtime.hotswap) && !ep_runtime.hotswap.journal.damaged && !sign(&update.begin))
    return;
  error = fuzz_board_update(&update, &update.begin, true);
  if (error != EP_OK && may_refuse(error)) return;
  if (error != EP_OK) fprintf(stderr, "the update ends with %d\n", error);
  FUZZ_CHECK(error == EP_OK);
  FUZZ_CHECK(strcmp(ep_runtime.agents.active->manifest.name, "law 3") == 0);
  number = ep_runtime.agents.active->swap_number;
  fuzz_board_boot(EP_RESET_POWER_ON);
  /* Or it is what a trial falls back to: the other slot may have been left in one. And a confirmed record with wavering
   * cells, which nobody could read at Begin and everybody can now, has the number that it always had. */
  FUZZ_CHECK(ep_runtime.hotswap.active_swap >= number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input_t input = {data, data + size};
  uint32_t cause;
  fuzz_board_restore(fuzz_state(fuzz_u8(&input)));
  cause = fuzz_u8(&input);
  memset(touched, 0, sizeof touched);
  for (uint32_t count = 0; fuzz_more(&input) && count < MOST_DAMAGE; count++) damage(&input);
  account();
  fuzz_board_boot((ep_reset_cause_t)(cause & 3u));
  if (!fuzz_board_settle(100)) { /* a trial that goes on for long, by what the flash says */
    (void)fuzz_board_ask(edgeplug_Request_rollback_tag);
    if (ep_runtime.hotswap.phase == edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL) {
      FUZZ_CHECK(ep_hotswap_locked(&ep_runtime.hotswap));
      return 0;
    }
  }
  ask_everything();
  check_update();
  FUZZ_CHECK(fuzz_board_violations() == 0u);
  return 0;
}
