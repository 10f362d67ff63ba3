/* The agents in RAM: two banks, each with a checked copy of an agent's code and the instance that runs it.
 * Implements hotswap/agent_port.h for the main loop; scan.c runs the active one in the scan interrupt, and shadow.c a
 * candidate beside it.
 *
 * Who writes what: the main loop fills a bank only while no scan uses it, and the pointers that both sides
 * use (active, fallback, pending, shadow.bank) change in the interrupt, or with the scan masked.
 */
#ifndef EP_CORE_AGENTS_H
#define EP_CORE_AGENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/board.h"
#include "core/limits.h"
#include "hotswap/agent_port.h"
#include "hotswap/record_layout.h"
#include "link/events.h"
#include "package.pb.h"
#include "wasm/wasm.h"

/* What an agent's host functions see: the channels of the process image, or those of a test vector. */
typedef struct {
  float inputs[EP_BOARD_MAX_INPUTS];
  uint64_t time_us;                   /* scan time */
  uint64_t scan;                      /* its number: ticks since boot, this one included */
  float wanted[EP_BOARD_MAX_OUTPUTS]; /* what the agent wrote, before the guards */
} ep_channels_t;

#define EP_AGENT_MESSAGE_SIZE 64u

/* One agent in RAM. */
typedef struct {
  bool loaded;
  uint32_t slot;
  uint32_t swap_number;
  ep_channels_t *channels;             /* the image's in scans, a vector's own in the main loop */
  ep_event_queue_t *log;               /* NULL while logging is off */
  uint32_t guard_hits;                 /* since its trial or shadow run began */
  int32_t scan, handle, save, restore; /* export indices, −1 = absent */
  uint32_t io_buffer;                  /* address in linear memory, valid if io_size > 0 */
  uint32_t io_size;
  char message[EP_AGENT_MESSAGE_SIZE + 1u]; /* what the last trap or refusal was about */
  ep_wasm_host_t host;
  edgeplug_Manifest manifest;
  ep_wasm_instance_t instance;
  uint8_t code[EP_RECORD_PAYLOAD_MAX] __attribute__((aligned(8)));
  uint8_t arena[EP_ARENA_SIZE] __attribute__((aligned(8)));
} ep_bank_t;

/* Counted by the scan, read by anyone. */
typedef struct {
  uint32_t traps;
  uint32_t guard_hits;
  uint32_t swaps;
  uint32_t rollbacks;
  uint32_t requests;
} ep_agent_counters_t;

/* The candidate that runs beside the active agent, and what came of the last run. */
typedef struct {
  ep_bank_t *bank;     /* NULL = none */
  ep_bank_t *starting; /* takes over state in the next two scans */
  bool saved;          /* half of that is done */
  bool ran;            /* in the scan that comes next for the candidate, the active agent did not trap */
  bool waits;          /* a request that the active agent has answered and the candidate has not */
  edgeplug_ShadowReport report;
  float tolerance[EP_BOARD_MAX_OUTPUTS];
  float outputs[EP_BOARD_MAX_OUTPUTS]; /* what the machine would have */
  float applied[EP_BOARD_MAX_OUTPUTS]; /* what it had in the scan of `image` */
  ep_channels_t image;                 /* of the scan before the present one */
  uint32_t request_size, reply_size;
  uint8_t request[EP_MAX_IO_BUFFER]; /* then the candidate's reply */
  uint8_t reply[EP_MAX_IO_BUFFER];   /* the active agent's */
} ep_shadow_t;

/* What is large stands last: short offsets are short instructions. */
struct ep_agents {
  ep_bank_t *active;   /* runs; NULL = safe mode */
  ep_bank_t *fallback; /* during a trial: the one that comes back */
  ep_bank_t *pending;  /* to become active at the next scan */
  int pending_result;  /* of the switch: EP_OK or EP_ERR_HANDOVER */
  bool pending_trial;
  bool in_trial;
  bool rollback_told; /* the scan that sent a candidate off has put the event already */
  ep_event_queue_t *events;
  ep_agent_counters_t counters;
  uint32_t trial_first_request; /* requests served before the trial began */
  ep_agent_trial_t trial;
  float outputs[EP_BOARD_MAX_OUTPUTS]; /* applied last */
  ep_channels_t image;
  char message[EP_AGENT_MESSAGE_SIZE + 1u]; /* of the last refusal or trap */
  ep_shadow_t shadow;
  ep_bank_t bank[2];
};

void ep_agents_init(ep_agents_t *agents, ep_event_queue_t *events);

/* Passes `size` bytes to the active request agent; its answer replaces them in `data` (room for
 * EP_MAX_IO_BUFFER). EP_OK, EP_ERR_NO_AGENT, EP_ERR_NO_HANDLER, EP_ERR_REQUEST_SIZE, EP_ERR_REPLY,
 * EP_ERR_AGENT_TRAP or EP_ERR_AGENT_FUEL. A request on which a candidate in its trial fails is served
 * by the agent that comes back. `swap_number` is that of the agent that answered. */
int ep_agents_call(ep_agents_t *agents, uint8_t *data, uint32_t *size, uint32_t *swap_number);

/* One request by `bank`, main loop only. The reply goes to `reply`, which may be `data`, and its size to `size`, both
 * only with EP_OK; else EP_ERR_REQUEST_SIZE, EP_ERR_REPLY, EP_ERR_AGENT_TRAP or EP_ERR_AGENT_FUEL. */
int ep_agents_handle(ep_bank_t *bank, const uint8_t *data, uint8_t *reply, uint32_t *size);

/* The trial of the active agent failed: back to the fallback at once. [scan] */
void ep_agents_fail_trial(ep_agents_t *agents, edgeplug_Reason reason);

/* A fresh instance of the code in `bank` by its manifest: validated, started, initialised. Its outputs go
 * nowhere. EP_OK or the error to report, with bank->message. Also used by builds on the host (sim). */
int ep_agents_instantiate(ep_bank_t *bank);

/* EP_ERR_ code and reason for a result of the engine. */
int ep_agents_error(ep_wasm_result_t result);
edgeplug_Reason ep_agents_reason(ep_wasm_result_t result);

/* Calls export `function` of `bank` with so much fuel; `sliced` as ep_wasm_set_sliced(). Of a failure bank->message
 * tells. [scan] */
ep_wasm_result_t ep_agents_invoke(ep_bank_t *bank, int32_t function, uint64_t *value, uint32_t fuel,
                                  bool sliced);

/* Text of what went wrong in `bank`, into bank->message: the agent's own abort text, or the engine's. [scan] */
void ep_agents_explain(ep_bank_t *bank, ep_wasm_result_t result, const ep_wasm_error_t *error);

#endif
