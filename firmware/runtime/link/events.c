#include "link/events.h"

#include <string.h>

#include "core/board.h"

void ep_events_init(ep_event_queue_t *queue) {
  queue->head = 0;
  queue->tail = 0;
  queue->lost = 0;
}

edgeplug_Event *ep_events_put(ep_event_queue_t *queue, edgeplug_EventKind kind, uint64_t scan,
                              uint32_t swap_number) {
  edgeplug_Event *event = &queue->spare;
  uint32_t state = ep_board_scan_mask();
  if (queue->tail - queue->head < EP_EVENT_COUNT) {
    event = &queue->ring[queue->tail++ % EP_EVENT_COUNT];
  } else {
    queue->lost++;
  }
  ep_board_scan_unmask(state);
  memset(event, 0, sizeof *event);
  event->kind = kind;
  event->scan = scan;
  event->swap_number = swap_number;
  return event;
}

bool ep_events_take(ep_event_queue_t *queue, edgeplug_Event *event) {
  uint32_t state = ep_board_scan_mask();
  bool found = queue->tail != queue->head;
  if (found) {
    *event = queue->ring[queue->head % EP_EVENT_COUNT];
    queue->head++;
  }
  ep_board_scan_unmask(state);
  return found;
}
