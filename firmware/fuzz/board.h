/* A whole board to fuzz: the runtime as it ships on the flash model of firmware/tests/hotswap, with a serial line, a
 * clock, and scans that interrupt the main loop wherever it says that it works or waits for flash. States are saved and
 * brought back in microseconds.
 */
#ifndef EP_FUZZ_BOARD_H
#define EP_FUZZ_BOARD_H

#include "core/runtime.h"
#include "errors.h"
#include "flash_model.h"

typedef struct {
  flash_t flash;
  ep_runtime_t runtime;
  uint64_t time_us;
  uint64_t next_scan_us;
  bool scanning;
  uint32_t masked;
  ep_reset_cause_t cause;
} fuzz_board_t;

/* What came back for a request. */
typedef struct {
  uint32_t responses;         /* since the request was sent */
  edgeplug_Response response; /* the last one */
} fuzz_reply_t;

/* A blank board, not booted. */
void fuzz_board_new(flash_geometry_t geometry);
void fuzz_board_save(fuzz_board_t *state);

/* The engine's laws are watched from here on: see board.c. */
void fuzz_board_restore(const fuzz_board_t *state);

/* The flash of the board that is served now, for what happens to it from outside. */
flash_t *fuzz_board_flash(void);

/* Things that no silicon does, and erases and programs so far. */
uint32_t fuzz_board_violations(void);
uint32_t fuzz_board_operations(void);

/* Loses RAM, keeps flash, boots. */
void fuzz_board_boot(ep_reset_cause_t cause);

/* So many turns of the main loop, of a millisecond and a scan each. */
void fuzz_board_run(uint32_t scans);

/* Runs until no update is under way and nothing waits on the line; a staged package stays so. False if a trial or a
 * transfer is still there after `most` turns. */
bool fuzz_board_settle(uint32_t most);

/* Lets time pass in which neither scan nor main loop runs. */
void fuzz_board_pass(uint64_t us);

/* Sends bytes as they are, and lets the board take them. */
void fuzz_board_line(const uint8_t *bytes, uint32_t size);

/* Sends a message in a frame. */
void fuzz_board_message(const uint8_t *message, uint32_t size);

/* Sends a request and awaits its answer. */
const fuzz_reply_t *fuzz_board_request(edgeplug_Request *request);
const fuzz_reply_t *fuzz_board_ask(pb_size_t tag); /* one without a body */

/* Responses since the last fuzz_board_message(). */
const fuzz_reply_t *fuzz_board_reply(void);

/* Packages for every behaviour that matters. */
typedef enum {
  FUZZ_CONTROL,      /* hands its state over to FUZZ_CONTROL_NEXT */
  FUZZ_CONTROL_NEXT, /* waits for the host's Confirm */
  FUZZ_REQUEST,
  FUZZ_FAILING, /* aborts in its trial */
  FUZZ_INVALID, /* no module at all */
  FUZZ_PACKAGES
} fuzz_package_kind_t;

typedef struct {
  edgeplug_Manifest manifest;
  edgeplug_Begin begin; /* unsigned */
  uint8_t payload[512];
  uint32_t size;
} fuzz_package_t;

const fuzz_package_t *fuzz_package(uint32_t kind);

/* Encodes package->manifest into package->begin; false if it is too long. */
bool fuzz_package_encode(fuzz_package_t *package);

/* Signs with a key as signature.c takes it. */
void fuzz_package_sign(edgeplug_Begin *begin, const uint8_t key[32]);

/* The keys that boards of these targets know: a publisher's and an operator's, by number. */
const uint8_t *fuzz_key(uint32_t number);

/* Begin, chunks, verification; then, if `activate`, until the trial has ended. EP_OK or the error on the way. */
int fuzz_board_update(const fuzz_package_t *package, const edgeplug_Begin *begin, bool activate);

void fuzz_sign(uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size);

#endif
