#include "serve.h"

#include <stdbool.h>
#include <stdint.h>

#include "crypto/crc32.h"
#include "crypto/ed25519.h"
#include "crypto/sha512.h"
#include "modules.h"

#define MAX_MESSAGE 65536u
#define MAX_ARGS    255u

static uint8_t module[EP_CONFORMANCE_MAX_MODULE]; /* lies here for as long as it is loaded */
static uint8_t text[MAX_MESSAGE];                 /* a message, or an export's name */
static uint64_t args[MAX_ARGS];
static char reply[EP_CONFORMANCE_REPLY_SIZE];

_Static_assert(sizeof text >= EP_CONFORMANCE_MAX_NAME, "a name has to fit where messages do");
_Static_assert(sizeof reply >= 2u + 2u * EP_SHA512_SIZE + 1u, "a digest has to fit into a reply");

/* Each reader answers whether the input held that much. */

static bool read_bytes(uint8_t *out, uint32_t size) {
  for (uint32_t i = 0; i < size; i++) {
    int byte = ep_conformance_read();
    if (byte < 0) return false;
    out[i] = (uint8_t)byte;
  }
  return true;
}

static bool read_number(uint64_t *out, uint32_t size) {
  uint8_t bytes[8];

  if (!read_bytes(bytes, size)) return false;
  *out = 0;
  for (uint32_t i = 0; i < size; i++) *out |= (uint64_t)bytes[i] << (8 * i);
  return true;
}

static bool read_length(uint32_t *out) {
  uint64_t number;

  if (!read_number(&number, 4)) return false;
  *out = (uint32_t)number;
  return true;
}

/* Reads it all, however long, but keeps only what `out` has room for. */
static bool read_at_most(uint8_t *out, uint32_t room, uint32_t size) {
  if (size <= room) return read_bytes(out, size);
  if (!read_bytes(out, room)) return false;
  for (uint32_t i = room; i < size; i++) {
    if (ep_conformance_read() < 0) return false;
  }
  return true;
}

static void say(const char *line) {
  char *to = reply;
  do {
    *to = *line++;
  } while (*to++ != '\0');
}

static void say_hex(const uint8_t *bytes, uint32_t size) {
  static const char digits[] = "0123456789abcdef";
  char *to = reply;

  *to++ = 'r';
  *to++ = ' ';
  for (uint32_t i = 0; i < size; i++) {
    *to++ = digits[bytes[i] >> 4];
    *to++ = digits[bytes[i] & 15];
  }
  *to = '\0';
}

static bool serve_module(void) {
  uint32_t size;

  if (!read_length(&size) || !read_at_most(module, sizeof module, size)) return false;
  ep_conformance_module_load(module, size, reply, sizeof reply);
  return true;
}

static bool serve_invoke(void) {
  uint64_t name_size, count;

  if (!read_number(&name_size, 2) || !read_bytes(text, (uint32_t)name_size) || !read_number(&count, 1)) {
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!read_number(&args[i], 8)) return false;
  }
  ep_conformance_module_invoke(text, (uint32_t)name_size, args, (uint32_t)count, reply, sizeof reply);
  return true;
}

static bool serve_fuel(void) {
  ep_conformance_module_fuel(reply, sizeof reply);
  return true;
}

static bool serve_ed25519(void) {
  uint8_t key[32], signature[64];
  uint32_t size;

  if (!read_bytes(key, sizeof key) || !read_bytes(signature, sizeof signature) || !read_length(&size) ||
      !read_at_most(text, sizeof text, size)) {
    return false;
  }
  if (size > sizeof text) {
    say("err limit: a message has at most 65536 bytes");
  } else if (ep_ed25519_verify(signature, key, text, size, NULL, NULL) != 0) {
    say("err bad signature");
  } else {
    say("ok");
  }
  return true;
}

static bool serve_sha512(void) {
  ep_sha512_t hash;
  uint8_t digest[EP_SHA512_SIZE];
  uint32_t left;

  if (!read_length(&left)) return false;
  ep_sha512_init(&hash);
  while (left > 0) {
    uint32_t part = left < sizeof text ? left : (uint32_t)sizeof text;
    if (!read_bytes(text, part)) return false;
    ep_sha512_update(&hash, text, part);
    left -= part;
  }
  ep_sha512_final(&hash, digest);
  say_hex(digest, sizeof digest);
  return true;
}

static bool serve_crc32(void) {
  uint8_t big_endian[4];
  uint32_t crc = 0;
  uint32_t left;

  if (!read_length(&left)) return false;
  while (left > 0) {
    uint32_t part = left < sizeof text ? left : (uint32_t)sizeof text;
    if (!read_bytes(text, part)) return false;
    crc = ep_crc32(crc, text, part);
    left -= part;
  }
  for (uint32_t i = 0; i < 4; i++) big_endian[i] = (uint8_t)(crc >> (24 - 8 * i));
  say_hex(big_endian, sizeof big_endian);
  return true;
}

static bool serve_reset(void) {
  ep_conformance_module_reset(reply, sizeof reply);
  return true;
}

static bool serve_one(int request) {
  switch (request) {
  case 'M': return serve_module();
  case 'I': return serve_invoke();
  case 'F': return serve_fuel();
  case 'E': return serve_ed25519();
  case 'H': return serve_sha512();
  case 'C': return serve_crc32();
  case 'R': return serve_reset();
  default: say("err unknown request"); return true;
  }
}

void ep_conformance_serve(void) {
  for (;;) {
    int request = ep_conformance_read();
    if (request < 0 || request == 'Q' || !serve_one(request)) return;
    size_t size = 0;
    while (reply[size] != '\0') size++;
    reply[size] = '\n';
    ep_conformance_write(reply, size + 1);
  }
}
