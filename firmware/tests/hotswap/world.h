/* A board small enough to fork: flash, engine, agents that do what their package's first byte says. Everything a
 * board has lies in one struct; use_world() makes it the one that the board functions serve.
 */
#ifndef EP_TESTS_WORLD_H
#define EP_TESTS_WORLD_H

#include "flash_model.h"
#include "hotswap/engine.h"

/* First byte of a payload: how the agent behaves. */
#define AGENT_GOOD     'G'
#define AGENT_TRAPS    'T' /* in its third scan */
#define AGENT_VECTORS  'V' /* its vectors fail */
#define AGENT_INVALID  'I' /* the module is refused */
#define AGENT_HANDOVER 'H' /* hand-over fails */
#define AGENT_STRANGE  'S' /* in the shadow its third scan differs */
#define AGENT_KILLS    'K' /* takes the CPU down in its third scan: the watchdog resets the board */

typedef struct {
  bool loaded;
  uint32_t slot;
  uint32_t swap_number;
  uint32_t id; /* manifest.release */
  uint8_t nature;
} bank_t;

struct ep_agents {
  bank_t active, candidate, fallback;
  bool in_trial;
  bool killed; /* the CPU is gone: reset by watchdog */
  ep_agent_trial_t trial;
  edgeplug_ShadowReport shadow; /* runs while its state says so */
};

typedef struct {
  edgeplug_Begin begin;
  uint32_t id;
  uint32_t size;
  uint8_t payload[13824];
} package_t;

typedef struct {
  flash_t flash;
  ep_hotswap_t engine;
  ep_agents_t agents;
  ep_reset_cause_t cause;
  uint8_t board; /* first byte of its id */
  uint64_t time_us;
  uint32_t events;
  int last_failure; /* of EVENT_KIND_STAGING_FAILED */
} world_t;

/* A new board with blank flash, not booted. */
void world_init(world_t *world, flash_geometry_t geometry, uint32_t seed);

/* The board functions serve `world` from now on; returns the one before. */
world_t *world_use(world_t *world);

/* A second board in the same state, which becomes the one that is served. */
void world_copy(world_t *copy, const world_t *world);

/* Loses RAM, keeps flash, boots. */
void world_boot(world_t *world, ep_reset_cause_t cause);

/* Lets `scans` scans and as many turns of the main loop go by; a killed CPU boots anew. */
void world_run(world_t *world, uint32_t scans);

/* Runs until the engine is idle; a staged package is left staged. */
void world_settle(world_t *world);

/* Package `id` (also its release), payload of `size` bytes. `edit` may change the manifest. */
typedef void (*manifest_edit_fn)(edgeplug_Manifest *manifest);
void package_make(package_t *package, uint32_t id, uint8_t nature, uint32_t size, manifest_edit_fn edit);

/* Begin, all chunks, verification. EP_OK: staged. */
int world_stage(world_t *world, const package_t *package);

/* The same and activate; the trial has begun. */
int world_push(world_t *world, const package_t *package);

/* The same, and waits out the trial. */
int world_update(world_t *world, const package_t *package);

/* Clears the spent package of this name, or all of them if `size` is 0. */
int world_clear_spent(world_t *world, const uint8_t *digest, uint32_t size);

/* Sends chunks from `offset` until `end`. */
int world_send(world_t *world, const package_t *package, uint32_t offset, uint32_t end, uint32_t chunk);

/* Id of the agent that runs, 0 in safe mode. */
uint32_t world_running(const world_t *world);

edgeplug_SlotState world_slot_state(world_t *world, uint32_t slot);
edgeplug_Reason world_slot_reason(world_t *world, uint32_t slot);

#endif
