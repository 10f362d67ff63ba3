#include "link/events.h"

#include "core/board.h"

void ep_events_init(ep_event_queue_t *queue) {
  queue->head = 0;
  queue->tail = 0;
  queue->lost = 0;
}

void ep_events_put(ep_event_queue_t *queue, const edgeplug_Event *event) {
  uint32_t state = ep_board_scan_mask();
  if (queue->tail - queue->head < EP_EVENT_COUNT) {
    queue->ring[queue->tail % EP_EVENT_COUNT] = *event;
    queue->tail++;
  } else {
    queue->lost++;
  }
  ep_board_scan_unmask(state);
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
