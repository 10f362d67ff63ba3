/* Events on their way to the host: a ring that the scan interrupt and the main loop fill, and the link empties.
 * When it is full the newest event is dropped and counted: what happened first explains the rest. */
#ifndef EP_LINK_EVENTS_H
#define EP_LINK_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "device.pb.h"

#define EP_EVENT_COUNT 16u

typedef struct {
  uint32_t head; /* next to take */
  uint32_t tail; /* next to fill; both count without wrap, index = count % EP_EVENT_COUNT */
  uint32_t lost;
  edgeplug_Event spare; /* takes what finds the ring full */
  edgeplug_Event ring[EP_EVENT_COUNT];
} ep_event_queue_t;

void ep_events_init(ep_event_queue_t *queue);

/* A new event at the end of the queue, for the caller to fill in at once; it has kind, scan and swap number, all else is 0.
 * The main loop, which takes events out, can't do so in between. [scan] */
edgeplug_Event *ep_events_put(ep_event_queue_t *queue, edgeplug_EventKind kind, uint64_t scan,
                              uint32_t swap_number);

/* Takes the oldest event; false if there is none. Main loop only. */
bool ep_events_take(ep_event_queue_t *queue, edgeplug_Event *event);

#endif
