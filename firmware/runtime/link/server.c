#include "link/server.h"

#include <string.h>

#include "core/board.h"
#include "core/limits.h"
#include "errors.h"
#include "pb_decode.h"
#include "pb_encode.h"

/* Chunks that may be in flight: the board's receive ring holds two whole frames. */
#define EP_SERVER_WINDOW 2u

typedef int (*ep_server_handler_fn)(ep_server_t *server, const edgeplug_Request *request,
                                    edgeplug_Response *response);

void ep_server_init(ep_server_t *server, const ep_server_host_t *host, ep_hotswap_t *hotswap,
                    ep_event_queue_t *events) {
  memset(server, 0, sizeof *server);
  server->host = host;
  server->hotswap = hotswap;
  server->events = events;
}

/* ---- one function a request that is no command; which reply it makes stands in the table below them ------------------ */

static int ep_server_hello(ep_server_t *server, const edgeplug_Request *request,
                           edgeplug_Response *response) {
  edgeplug_HelloReply *reply = &response->body.hello;
  (void)request;
  server->host->hello(server->host->context, reply);
  reply->protocol = EP_PROTOCOL_VERSION;
  reply->max_frame = EP_FRAME_MAX;
  reply->max_chunk = sizeof server->in.body.request.body.chunk.data.bytes;
  reply->window = EP_SERVER_WINDOW;
  reply->locked = ep_hotswap_locked(server->hotswap);
  reply->boot_number = ep_hotswap_boot_number(server->hotswap);
  return EP_OK;
}

static int ep_server_status(ep_server_t *server, const edgeplug_Request *request,
                            edgeplug_Response *response) {
  edgeplug_Status *status = &response->body.status;
  (void)request;
  ep_hotswap_status(server->hotswap, status);
  server->host->status(server->host->context, status);
  status->has_counters = true;
  status->counters.frames_dropped = server->receiver.dropped;
  status->counters.events_lost = server->events->lost;
  status->counters.receive_overruns = ep_board_serial_overruns();
  return EP_OK;
}

static int ep_server_begin(ep_server_t *server, const edgeplug_Request *request,
                           edgeplug_Response *response) {
  return ep_hotswap_begin(server->hotswap, &request->body.begin, &response->body.begin);
}

static int ep_server_chunk(ep_server_t *server, const edgeplug_Request *request,
                           edgeplug_Response *response) {
  const edgeplug_Chunk *chunk = &request->body.chunk;
  return ep_hotswap_chunk(server->hotswap, chunk->offset, chunk->data.bytes, chunk->data.size,
                          &response->body.chunk.next_offset);
}

static int ep_server_call(ep_server_t *server, const edgeplug_Request *request, edgeplug_Response *response) {
  edgeplug_CallReply *reply = &response->body.call;
  uint32_t size = request->body.call.data.size;
  int error;
  memcpy(reply->data.bytes, request->body.call.data.bytes, size);
  error = server->host->call(server->host->context, reply->data.bytes, &size, &reply->swap_number);
  if (error != EP_OK) return error;
  reply->data.size = (pb_size_t)size;
  return EP_OK;
}

static int ep_server_read_slot(ep_server_t *server, const edgeplug_Request *request,
                               edgeplug_Response *response) {
  const edgeplug_ReadSlot *wanted = &request->body.read_slot;
  edgeplug_SlotData *data = &response->body.read_slot;
  int error;
  if (wanted->slot > 1u || wanted->size > sizeof data->data.bytes || wanted->offset > EP_RECORD_SLOT_SIZE ||
      wanted->size > EP_RECORD_SLOT_SIZE - wanted->offset) {
    return EP_ERR_BAD_REQUEST;
  }
  error = ep_hotswap_read_slot(server->hotswap, wanted->slot, wanted->offset, data->data.bytes, wanted->size);
  if (error != EP_OK) return error;
  data->offset = wanted->offset;
  data->data.size = (pb_size_t)wanted->size;
  return EP_OK;
}

static int ep_server_history(ep_server_t *server, const edgeplug_Request *request,
                             edgeplug_Response *response) {
  ep_hotswap_history(server->hotswap, request->body.history.before, &response->body.history);
  return EP_OK;
}

static int ep_server_spent(ep_server_t *server, const edgeplug_Request *request,
                           edgeplug_Response *response) {
  (void)request;
  ep_hotswap_spent(server->hotswap, &response->body.spent);
  return EP_OK;
}

static int ep_server_list_keys(ep_server_t *server, const edgeplug_Request *request,
                               edgeplug_Response *response) {
  (void)request;
  ep_hotswap_keys(server->hotswap, &response->body.keys);
  return EP_OK;
}

static int ep_server_slot(ep_server_t *server, const edgeplug_Request *request, edgeplug_Response *response) {
  if (request->body.slot.slot > 1u) return EP_ERR_BAD_REQUEST;
  return ep_hotswap_slot_info(server->hotswap, request->body.slot.slot, &response->body.slot);
}

static int ep_server_challenge(ep_server_t *server, const edgeplug_Request *request,
                               edgeplug_Response *response) {
  (void)request;
  return ep_hotswap_challenge(server->hotswap, &response->body.challenge);
}

static int ep_server_shadow_report(ep_server_t *server, const edgeplug_Request *request,
                                   edgeplug_Response *response) {
  (void)request;
  ep_hotswap_shadow_report(server->hotswap, &response->body.shadow_report);
  return EP_OK;
}

static const struct {
  pb_size_t tag;
  pb_size_t reply;
  ep_server_handler_fn handle;
} ep_server_handlers[] = {
    {edgeplug_Request_hello_tag, edgeplug_Response_hello_tag, ep_server_hello},
    {edgeplug_Request_status_tag, edgeplug_Response_status_tag, ep_server_status},
    {edgeplug_Request_begin_tag, edgeplug_Response_begin_tag, ep_server_begin},
    {edgeplug_Request_chunk_tag, edgeplug_Response_chunk_tag, ep_server_chunk},
    {edgeplug_Request_call_tag, edgeplug_Response_call_tag, ep_server_call},
    {edgeplug_Request_read_slot_tag, edgeplug_Response_read_slot_tag, ep_server_read_slot},
    {edgeplug_Request_history_tag, edgeplug_Response_history_tag, ep_server_history},
    {edgeplug_Request_spent_tag, edgeplug_Response_spent_tag, ep_server_spent},
    {edgeplug_Request_list_keys_tag, edgeplug_Response_keys_tag, ep_server_list_keys},
    {edgeplug_Request_slot_tag, edgeplug_Response_slot_tag, ep_server_slot},
    {edgeplug_Request_challenge_tag, edgeplug_Response_challenge_tag, ep_server_challenge},
    {edgeplug_Request_shadow_report_tag, edgeplug_Response_shadow_report_tag, ep_server_shadow_report},
};

/* ---- in and out ------------------------------------------------------------------------------- */

/* Whatever has no handler of its own is a command, which is answered without a body. */
static int ep_server_dispatch(ep_server_t *server, edgeplug_Request *request, edgeplug_Response *response) {
  for (uint32_t index = 0; index < sizeof ep_server_handlers / sizeof ep_server_handlers[0]; index++) {
    if (ep_server_handlers[index].tag == request->which_body) {
      int error = ep_server_handlers[index].handle(server, request, response);
      if (error == EP_OK) response->which_body = ep_server_handlers[index].reply;
      return error;
    }
  }
  return ep_hotswap_command(server->hotswap, request);
}

bool ep_server_sent(const ep_server_t *server) {
  return server->wire_sent == server->wire_size;
}

/* Hands what is left of the present frame to the transmit ring. */
static void ep_server_flush(ep_server_t *server) {
  server->wire_sent +=
      ep_board_serial_write(server->wire + server->wire_sent, server->wire_size - server->wire_sent);
}

/* Encodes `out` and puts it on its way: at once, as the main loop may have much to do before its next turn. */
static void ep_server_send(ep_server_t *server) {
  pb_ostream_t stream = pb_ostream_from_buffer(server->message, sizeof server->message - 4u);
  if (!pb_encode(&stream, edgeplug_Frame_fields, &server->out)) return;
  server->wire_size = ep_frame_build(server->message, (uint32_t)stream.bytes_written, server->wire);
  server->wire_sent = 0;
  ep_server_flush(server);
}

/* Says what a busy board is busy with. */
static void ep_server_explain_busy(ep_server_t *server, edgeplug_Response *response) {
  static const char waits[][sizeof "a staged package"] = {
      "", "a transfer", "a verification", "a staged package", "an activation", "a trial", "a shadow run"};
  memcpy(response->message, waits[ep_hotswap_phase(server->hotswap)], sizeof waits[0]);
}

static void ep_server_serve(ep_server_t *server, const uint8_t *message, uint32_t size) {
  pb_istream_t stream = pb_istream_from_buffer(message, size);
  edgeplug_Response *response = &server->out.body.response;
  edgeplug_Request *request = &server->in.body.request;
  int error;
  if (!pb_decode(&stream, edgeplug_Frame_fields, &server->in) ||
      server->in.which_body != edgeplug_Frame_request_tag) {
    server->receiver.dropped++;
    return;
  }
  ep_hotswap_touch(server->hotswap);
  memset(&server->out, 0, sizeof server->out);
  server->out.which_body = edgeplug_Frame_response_tag;
  response->id = request->id;
  error = ep_server_dispatch(server, request, response);
  /* Errors are negative inside the runtime and positive on the link, where they are the code itself. */
  if (error != EP_OK) response->error = (uint32_t)-error;
  if (error == EP_ERR_BUSY) ep_server_explain_busy(server, response);
  ep_server_send(server);
}

static bool ep_server_send_event(ep_server_t *server) {
  memset(&server->out, 0, sizeof server->out);
  server->out.which_body = edgeplug_Frame_event_tag;
  if (!ep_events_take(server->events, &server->out.body.event)) return false;
  ep_server_send(server);
  return true;
}

bool ep_server_poll(ep_server_t *server) {
  bool busy = false;
  uint8_t byte;
  if (!ep_server_sent(server)) {
    ep_server_flush(server);
    return true;
  }
  while (ep_board_serial_read(&byte, 1) == 1u) {
    uint32_t size = 0;
    const uint8_t *message = ep_frame_receive(&server->receiver, byte, &size);
    busy = true;
    if (message == NULL) continue;
    ep_server_serve(server, message, size);
    return true;
  }
  return ep_server_send_event(server) || busy;
}
