/* The request server: turns received bytes into requests, answers each, and sends events in between. One request at
 * a time; while its answer waits for room in the transmit ring, no further byte is taken. Main loop only. */
#ifndef EP_LINK_SERVER_H
#define EP_LINK_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "device.pb.h"
#include "hotswap/hotswap.h"
#include "link/events.h"
#include "link/frame.h"

/* What the server can't answer itself; the core implements it. */
typedef struct {
  void *context;
  /* Fills in what is known of the board and its limits; the server adds the link's own figures. */
  void (*hello)(void *context, edgeplug_HelloReply *reply);
  /* Adds counters and the last agent message to what the hot-swap engine said. */
  void (*status)(void *context, edgeplug_Status *status);
  /* Passes a request to the active agent; in `data` (512 bytes of room) its answer. */
  int (*call)(void *context, uint8_t *data, uint32_t *size, uint32_t *swap_number);
} ep_server_host_t;

typedef struct {
  const ep_server_host_t *host;
  ep_hotswap_t *hotswap;
  ep_event_queue_t *events;
  uint32_t wire_size; /* bytes in `wire` */
  uint32_t wire_sent; /* of these in the transmit ring */
  edgeplug_Frame out;
  edgeplug_Frame in;
  ep_frame_receiver_t receiver;
  uint8_t message[EP_FRAME_MAX];
  uint8_t wire[EP_FRAME_WIRE_MAX];
} ep_server_t;

void ep_server_init(ep_server_t *server, const ep_server_host_t *host, ep_hotswap_t *hotswap,
                    ep_event_queue_t *events);

/* Whether all that was to be sent is in the transmit ring. If not, the next turn does nothing but go on with that. */
bool ep_server_sent(const ep_server_t *server);

/* Serves what has come in and sends what is due. Returns true if there was anything to do. */
bool ep_server_poll(ep_server_t *server);

#endif
