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
  edgeplug_Event ring[EP_EVENT_COUNT];
} ep_event_queue_t;

void ep_events_init(ep_event_queue_t *queue);

/* Copies `event` into the queue. [scan] */
void ep_events_put(ep_event_queue_t *queue, const edgeplug_Event *event);

/* Takes the oldest event; false if there is none. Main loop only. */
bool ep_events_take(ep_event_queue_t *queue, edgeplug_Event *event);

#endif
