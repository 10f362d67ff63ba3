/* Who may change what. On an open board anybody who can reach it; on a locked one whoever holds an operator's key: the
 * command then comes inside a SignedCommand, under a signature over
 *
 *   "EdgePlug command v1\0"   20 bytes
 *   board id                  12 bytes, of ep_board_id(): no command is good for two boards
 *   nonce                      8 bytes, of the last Challenge
 *   command                   an encoded Request of one field, which is one of EP_AUTHORITY_COMMANDS
 *
 * A nonce is two counters, little endian: one in the journal, which goes up when a nonce is first asked for after a
 * boot and is durable before that is told, and one in RAM, which counts challenges since. So no nonce is given twice,
 * cuts included. It is good for one command, until the next challenge or reset. A command whose signature fails
 * leaves it as it is, so nobody can take it from an operator by guessing. The very command that used it up is
 * answered as it was the first time, and nothing is done again: a host may repeat what got lost on the line.
 *
 * An open board checks a signed command just the same.
 */
#ifndef EP_HOTSWAP_AUTHORITY_H
#define EP_HOTSWAP_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "device.pb.h"
#include "journal.h"

struct ep_hotswap;

typedef struct {
  uint32_t nonce[2];                /* as told last; the second one is 0 while there is none */
  uint32_t done;                    /* CRC-32 of the command that used it up */
  int answer;                       /* what that was answered */
  bool used;                        /* it has been */
  uint8_t grant[EP_JOURNAL_DIGEST]; /* the package that may be older than what is here; zeros: none */
} ep_authority_t;

/* Makes a new nonce. EP_OK, EP_ERR_NONCES (the journal's counter has reached its end), EP_ERR_JOURNAL (damaged) or the
 * flash's error; then there is none. */
int ep_hotswap_challenge(struct ep_hotswap *engine, edgeplug_Challenge *challenge);

/* Carries out a request that changes state, plain or signed. `request` is used up: a command inside it takes its place.
 * Plain: EP_ERR_LOCKED if it needs an operator's signature here, EP_ERR_UNSUPPORTED for any other body.
 * Signed, in this order: EP_ERR_NONCE, EP_ERR_KEY_UNKNOWN, EP_ERR_KEY_ROLE, EP_ERR_SIGNATURE; then the nonce is used
 * up, and it is EP_ERR_BAD_REQUEST if what was signed is no command.
 * Else what the command itself is answered. */
int ep_hotswap_command(struct ep_hotswap *engine, edgeplug_Request *request);

#endif
