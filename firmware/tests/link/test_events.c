/* The event queue between scan, main loop and link. */
#include "check.h"
#include "core/board.h"
#include "link/events.h"

static int masked;

uint32_t ep_board_scan_mask(void) {
  masked++;
  return 0;
}

void ep_board_scan_unmask(uint32_t state) {
  (void)state;
  masked--;
}

static ep_event_queue_t queue;

static void put(uint32_t detail) {
  edgeplug_Event *event = ep_events_put(&queue, edgeplug_EventKind_EVENT_KIND_LOG, 1000u + detail, 7);
  CHECK_EQ(event->detail + event->error + event->text[0], 0);
  event->detail = detail;
  event->text[0] = 'x';
}

int main(void) {
  edgeplug_Event event;

  TEST("events come out in the order in which they were put") {
    ep_events_init(&queue);
    for (uint32_t round = 0; round < 10; round++) {
      for (uint32_t index = 0; index < EP_EVENT_COUNT; index++) put(round * 100 + index);
      for (uint32_t index = 0; index < EP_EVENT_COUNT; index++) {
        CHECK(ep_events_take(&queue, &event));
        CHECK_EQ(event.detail, round * 100 + index);
        CHECK_EQ(event.scan, 1000 + round * 100 + index);
        CHECK_EQ(event.swap_number, 7);
        CHECK_EQ(event.kind, edgeplug_EventKind_EVENT_KIND_LOG);
      }
      CHECK(!ep_events_take(&queue, &event));
    }
    CHECK_EQ(queue.lost, 0);
  }

  TEST("a full queue keeps what happened first and counts what it could not keep") {
    ep_events_init(&queue);
    for (uint32_t index = 0; index < EP_EVENT_COUNT + 5; index++) put(index);
    CHECK_EQ(queue.lost, 5);
    for (uint32_t index = 0; index < EP_EVENT_COUNT; index++) {
      CHECK(ep_events_take(&queue, &event));
      CHECK_EQ(event.detail, index);
    }
    CHECK(!ep_events_take(&queue, &event));
  }

  TEST("the queue works across the wrap of its counters, and the scan is never left masked") {
    ep_events_init(&queue);
    queue.head = queue.tail = UINT32_MAX - 3;
    for (uint32_t index = 0; index < 10; index++) put(index);
    for (uint32_t index = 0; index < 10; index++) {
      CHECK(ep_events_take(&queue, &event));
      CHECK_EQ(event.detail, index);
    }
    CHECK_EQ(masked, 0);
  }
  return check_done();
}
