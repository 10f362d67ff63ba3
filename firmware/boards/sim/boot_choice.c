/* The boot choice for a test that tries everything: the real readers of marks, records and journal, the real
 * ep_hotswap_boot(), on a small flash in RAM that the test fills byte by byte. Which units can't be read, or read
 * differently twice, it says in `faults`. ep_boot_choose() is linked with --wrap, to see what it is asked and answers.
 */
#include <string.h>

#include "core/board.h"
#include "errors.h"
#include "hotswap/boot.h"
#include "hotswap/hotswap.h"
#include "hotswap/marks.h"

#define EXPORT(name) __attribute__((export_name(#name)))

/* As short as the journal's log may be: reading it takes most of a boot's time. */
#define JOURNAL_ADDRESS (2u * EP_RECORD_SLOT_SIZE)
#define JOURNAL_HALF    1024u
#define FLASH_SIZE      (JOURNAL_ADDRESS + 2u * JOURNAL_HALF)

enum { UNIT_FINE, UNIT_UNREADABLE, UNIT_UNSTABLE };

/* The agent in `slot`, EP_BOOT_NONE if there is none. */
struct ep_agents {
  uint32_t prepared, active, fallback;
  bool in_trial;
};

/* Words, so that the test needs no layout. */
typedef struct {
  uint32_t intact, payload, confirmed, rejected, attempts, allowed, swap_number;
} slot_found_t;

typedef struct {
  uint32_t set, touched, unsettled, reason;
} slot_marks_t;

static struct {
  slot_found_t found[2]; /* what ep_boot_choose() was asked about */
  uint32_t resets_swap, resets;
  uint32_t runs, in_trial; /* after the boot: slot, and whether it is an attempt */
  uint32_t kept, damaged;
  slot_marks_t marks[2]; /* as they can be read then */
} result;

static uint8_t flash[FLASH_SIZE];
static uint8_t faults[FLASH_SIZE / EP_FLASH_UNIT];
static bool odd; /* which of its two values an unstable unit shows */
static ep_hotswap_t engine;
static ep_agents_t agents;
static ep_reset_cause_t cause;

/* ---- board ------------------------------------------------------------------------------------ */

const ep_board_map_t *ep_board_map(void) {
  static const ep_board_map_t map = {.slot_address = {0, EP_RECORD_SLOT_SIZE},
                                     .journal_address = JOURNAL_ADDRESS,
                                     .journal_half_size = JOURNAL_HALF,
                                     .erase_size = 512,
                                     .program_max = 256,
                                     .board_class = 1,
                                     .tick_us = 1000,
                                     .nanos_per_fuel = 100,
                                     .inputs = EP_BOARD_MAX_INPUTS,
                                     .outputs = EP_BOARD_MAX_OUTPUTS};
  return &map;
}

int ep_board_flash_read(uint32_t address, void *buffer, uint32_t size) {
  uint8_t *bytes = buffer;
  memcpy(bytes, flash + address, size);
  for (uint32_t unit = address / EP_FLASH_UNIT; unit * EP_FLASH_UNIT < address + size; unit++) {
    if (faults[unit] == UNIT_UNREADABLE) return EP_ERR_ECC;
    if (faults[unit] != UNIT_UNSTABLE) continue;
    odd = !odd;
    if (odd) memset(bytes + (unit * EP_FLASH_UNIT - address), 0xFF, EP_FLASH_UNIT);
  }
  return EP_OK;
}

int ep_board_flash_erase(uint32_t address) {
  memset(flash + address, 0xFF, ep_board_map()->erase_size);
  memset(faults + address / EP_FLASH_UNIT, UNIT_FINE, ep_board_map()->erase_size / EP_FLASH_UNIT);
  return EP_OK;
}

int ep_board_flash_program(uint32_t address, const void *data, uint32_t size) {
  for (uint32_t at = address; at < address + size; at++) {
    if (flash[at] != 0xFFu || faults[at / EP_FLASH_UNIT] != UNIT_FINE) return EP_ERR_FLASH;
  }
  memcpy(flash + address, data, size);
  return EP_OK;
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return cause;
}

uint64_t ep_board_time_us(void) {
  return 0;
}

void ep_board_work(ep_work_t unit) {
  (void)unit;
}

/* ---- agents ----------------------------------------------------------------------------------- */

int ep_agent_prepare(ep_agents_t *port, uint32_t slot, const edgeplug_Manifest *manifest,
                     uint32_t swap_number, bool run_vectors) {
  (void)manifest;
  (void)swap_number;
  (void)run_vectors;
  port->prepared = slot;
  return EP_OK;
}

int ep_agent_activate(ep_agents_t *port, bool trial) {
  port->fallback = port->active;
  port->active = port->prepared;
  port->in_trial = trial;
  return EP_OK;
}

void ep_agent_trial(const ep_agents_t *port, ep_agent_trial_t *trial) {
  (void)port;
  memset(trial, 0, sizeof *trial);
}

void ep_agent_commit(ep_agents_t *port) {
  port->in_trial = false;
}

void ep_agent_revert(ep_agents_t *port) {
  if (port->in_trial) port->active = port->fallback;
  port->in_trial = false;
}

static void ignore_event(void *context, edgeplug_EventKind kind, uint32_t swap_number,
                         edgeplug_UpdatePhase phase, edgeplug_Reason reason, int error, uint32_t detail) {
  (void)context;
  (void)kind;
  (void)swap_number;
  (void)phase;
  (void)reason;
  (void)error;
  (void)detail;
}

/* ---- what the test calls ---------------------------------------------------------------------- */

EXPORT(choice_flash) uint8_t *choice_flash(void);
uint8_t *choice_flash(void) {
  return flash;
}

EXPORT(choice_faults) uint8_t *choice_faults(void);
uint8_t *choice_faults(void) {
  return faults;
}

EXPORT(choice_result) const void *choice_result(void);
const void *choice_result(void) {
  return &result;
}

/* Reads the journal as a boot does; on a blank flash makes one. */
EXPORT(choice_mount) void choice_mount(void);
void choice_mount(void) {
  ep_journal_mount(&engine.journal);
}

/* What the journal says of the resets of agent `swap_number`. */
EXPORT(choice_note_resets) int choice_note_resets(uint32_t resets, uint32_t swap_number);
int choice_note_resets(uint32_t resets, uint32_t swap_number) {
  ep_journal_entry_t *state = &engine.journal.kept[EP_KEPT_STATE];
  state->swap_number = swap_number;
  state->u.state.resets = resets;
  return ep_journal_save(&engine.journal, EP_KEPT_STATE, EP_JOURNAL_STATE);
}

/* What the journal says of the marks of the record `swap_number` in `slot`. */
EXPORT(choice_note_facts)
int choice_note_facts(uint32_t slot, uint32_t swap_number, uint32_t set, uint32_t absent, uint32_t reason);
int choice_note_facts(uint32_t slot, uint32_t swap_number, uint32_t set, uint32_t absent, uint32_t reason) {
  ep_journal_entry_t *facts = ep_marks_facts(&engine.journal, slot, swap_number);
  facts->u.facts.set = (uint8_t)set;
  facts->u.facts.absent = (uint8_t)absent;
  facts->u.facts.reason = (uint8_t)reason;
  return ep_journal_save(&engine.journal, EP_KEPT_FACTS + slot, EP_JOURNAL_FACTS);
}

static void read_marks(uint32_t slot, uint32_t swap_number, ep_marks_t *marks) {
  ep_marks_read(&engine.journal, slot, swap_number, marks);
  result.marks[slot] = (slot_marks_t){marks->set, marks->touched, marks->unsettled, marks->reason};
}

/* Reads the marks of `slot` into the result; with `settle` does first what a boot does about them. */
EXPORT(choice_marks) void choice_marks(uint32_t slot, uint32_t swap_number, bool settle);
void choice_marks(uint32_t slot, uint32_t swap_number, bool settle) {
  ep_marks_t marks;
  read_marks(slot, swap_number, &marks);
  if (!settle) return;
  ep_marks_settle(&engine.journal, slot, swap_number, &marks);
  read_marks(slot, swap_number, &marks);
}

void __real_ep_boot_choose(const ep_boot_facts_t *facts, ep_boot_decision_t *decision);
void __wrap_ep_boot_choose(const ep_boot_facts_t *facts, ep_boot_decision_t *decision);
void __wrap_ep_boot_choose(const ep_boot_facts_t *facts, ep_boot_decision_t *decision) {
  for (uint32_t slot = 0; slot < 2u; slot++) {
    const ep_boot_slot_t *found = &facts->slots[slot];
    result.found[slot] = (slot_found_t){found->intact,   found->payload, found->confirmed,  found->rejected,
                                        found->attempts, found->allowed, found->swap_number};
  }
  result.resets_swap = facts->resets_swap;
  result.resets = facts->resets;
  __real_ep_boot_choose(facts, decision);
  result.kept = decision->kept;
}

/* Boots for `why` and fills the result. */
EXPORT(choice_boot) void choice_boot(uint32_t why);
void choice_boot(uint32_t why) {
  ep_record_t record;
  cause = (ep_reset_cause_t)why;
  agents = (ep_agents_t){EP_BOOT_NONE, EP_BOOT_NONE, EP_BOOT_NONE, false};
  memset(&result, 0, sizeof result);
  ep_hotswap_boot(&engine, &agents, ignore_event, NULL);
  result.runs = agents.active;
  result.in_trial = agents.in_trial;
  result.damaged = engine.journal.damaged != 0;
  for (uint32_t slot = 0; slot < 2u; slot++) {
    ep_record_read(&engine.journal, slot, &record);
    if (ep_record_intact(&record)) read_marks(slot, record.header.swap_number, &record.marks);
  }
}

/* ep_boot_choose() by itself. A slot: bit 0 intact, 1 payload, 2 confirmed, 3 rejected, bits 4.. attempts, 8.. allowed.
 * Answers with bits 0.. and 8.. for the reasons that A and B are rejected for, 16.. trial, 18.. run, 20 kept, 24..
 * resets from now on; choice_resets_swap() has the number that they are about. */
static ep_boot_slot_t slot_of(uint32_t code, uint32_t swap_number) {
  return (ep_boot_slot_t){.intact = (code & 1u) != 0u,
                          .payload = (code & 2u) != 0u,
                          .confirmed = (code & 4u) != 0u,
                          .rejected = (code & 8u) != 0u,
                          .attempts = (uint8_t)(code >> 4 & 15u),
                          .allowed = (uint8_t)(code >> 8),
                          .swap_number = swap_number};
}

static uint32_t resets_swap;

EXPORT(choice_choose)
uint32_t choice_choose(uint32_t a, uint32_t a_swap, uint32_t b, uint32_t b_swap, uint32_t why,
                       uint32_t resets, uint32_t about);
uint32_t choice_choose(uint32_t a, uint32_t a_swap, uint32_t b, uint32_t b_swap, uint32_t why,
                       uint32_t resets, uint32_t about) {
  const ep_boot_facts_t facts = {.slots = {slot_of(a, a_swap), slot_of(b, b_swap)},
                                 .cause = (ep_reset_cause_t)why,
                                 .resets_swap = about,
                                 .resets = (uint8_t)resets};
  ep_boot_decision_t decision;
  __real_ep_boot_choose(&facts, &decision);
  resets_swap = decision.resets_swap;
  return decision.reject[0] | (uint32_t)decision.reject[1] << 8 | (uint32_t)decision.trial << 16 |
         (uint32_t)decision.run << 18 | (uint32_t)decision.kept << 20 | (uint32_t)decision.resets << 24;
}

EXPORT(choice_resets_swap) uint32_t choice_resets_swap(void);
uint32_t choice_resets_swap(void) {
  return resets_swap;
}
