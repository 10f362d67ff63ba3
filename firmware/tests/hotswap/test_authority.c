/* Who may change what: nonces, signed commands, and the changes of keys that come by them. Signatures themselves have
 * their own tests; here one is good if it holds the key and the CRC-32 of what was signed.
 */
#include <pb_encode.h>

#include "check.h"
#include "crypto/crc32.h"
#include "crypto/ed25519.h"
#include "crypto/sha512.h"
#include "errors.h"
#include "world.h"

#define PUBLISHER 1u
#define OPERATOR  2u
#define STRANGER  9u

#define CHANGES_FLASH(code)                                                                                  \
  do {                                                                                                       \
    uint32_t before = world.flash.operations;                                                                \
    code;                                                                                                    \
    CHECK(world.flash.operations != before);                                                                 \
  } while (0)

static world_t world, base;
static package_t package;
static uint8_t nonce[8];

/* ---- keys and signatures -------------------------------------------------------------------------- */

static void seal(uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size) {
  uint32_t crc = ep_crc32(0, message, size);
  memset(signature, 0, 64);
  memcpy(signature, key, 32);
  memcpy(signature + 32, &crc, sizeof crc);
}

int ep_ed25519_verify(const uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size,
                      ep_ed25519_step_fn step, void *context) {
  uint8_t good[64];
  for (uint32_t i = 0; i < 256u && step != NULL; i++) step(context);
  seal(good, key, message, size);
  return memcmp(good, signature, sizeof good) == 0 ? 0 : -1;
}

static const uint8_t *key_of(uint32_t number) {
  static uint8_t key[32];
  memset(key, (int)number, sizeof key);
  return key;
}

static void key_id(uint32_t number, uint8_t id[8]) {
  uint8_t digest[EP_SHA512_SIZE];
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, key_of(number), 32);
  ep_sha512_final(&hash, digest);
  memcpy(id, digest, 8);
}

/* ---- requests ------------------------------------------------------------------------------------- */

static edgeplug_Request plain(pb_size_t tag) {
  edgeplug_Request request = edgeplug_Request_init_zero;
  request.which_body = tag;
  return request;
}

static int carry_out(edgeplug_Request request) {
  return ep_hotswap_command(&world.engine, &request);
}

static edgeplug_Request add_key(uint32_t number, edgeplug_KeyRole role) {
  edgeplug_Request request = plain(edgeplug_Request_add_key_tag);
  request.body.add_key.role = role;
  memcpy(request.body.add_key.public_key, key_of(number), 32);
  return request;
}

static edgeplug_Request remove_key(uint32_t number) {
  edgeplug_Request request = plain(edgeplug_Request_remove_key_tag);
  key_id(number, request.body.remove_key.key_id);
  return request;
}

static edgeplug_Request replace_key(uint32_t number, uint32_t by) {
  edgeplug_Request request = plain(edgeplug_Request_replace_key_tag);
  key_id(number, request.body.replace_key.key_id);
  memcpy(request.body.replace_key.public_key, key_of(by), 32);
  return request;
}

static int challenge(void) {
  edgeplug_Challenge reply = edgeplug_Challenge_init_zero;
  int error = ep_hotswap_challenge(&world.engine, &reply);
  memcpy(nonce, reply.nonce, sizeof nonce);
  return error;
}

/* `bytes` as a command, signed by key `number` for this board and the last nonce. */
static edgeplug_Request sign_bytes(const void *bytes, size_t size, uint32_t number) {
  edgeplug_Request request = plain(edgeplug_Request_signed_command_tag);
  edgeplug_SignedCommand *command = &request.body.signed_command;
  uint8_t message[40 + sizeof command->command.bytes] = "EdgePlug command v1";
  ep_board_id(message + 20);
  memcpy(message + 32, nonce, sizeof nonce);
  memcpy(message + 40, bytes, size);
  memcpy(command->command.bytes, bytes, size);
  command->command.size = (pb_size_t)size;
  memcpy(command->nonce, nonce, sizeof nonce);
  key_id(number, command->key_id);
  seal(command->signature, key_of(number), message, 40 + size);
  return request;
}

static edgeplug_Request sign(edgeplug_Request request, uint32_t number) {
  uint8_t bytes[64];
  pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
  CHECK(pb_encode(&stream, edgeplug_Request_fields, &request));
  return sign_bytes(bytes, stream.bytes_written, number);
}

/* A fresh nonce, and the command under it by the operator. */
static int by_operator(edgeplug_Request request) {
  int error = challenge();
  return error != EP_OK ? error : carry_out(sign(request, OPERATOR));
}

static uint32_t role_of(uint32_t number) {
  edgeplug_KeyList list;
  uint8_t id[8];
  key_id(number, id);
  ep_hotswap_keys(&world.engine, &list);
  for (uint32_t i = 0; i < list.keys_count; i++) {
    if (memcmp(list.keys[i].key_id, id, sizeof id) == 0) return (uint32_t)list.keys[i].role;
  }
  return 0;
}

static uint32_t newest_history(void) {
  edgeplug_History history;
  ep_hotswap_history(&world.engine, 0, &history);
  return (uint32_t)history.entries[0].kind;
}

/* ---- boards --------------------------------------------------------------------------------------- */

static void board(flash_geometry_t geometry, bool locked) {
  world_init(&world, geometry, 5);
  world_boot(&world, EP_RESET_POWER_ON);
  CHECK_EQ(carry_out(add_key(PUBLISHER, edgeplug_KeyRole_KEY_ROLE_PUBLISHER)), EP_OK);
  CHECK_EQ(carry_out(add_key(OPERATOR, edgeplug_KeyRole_KEY_ROLE_OPERATOR)), EP_OK);
  if (locked) CHECK_EQ(carry_out(plain(edgeplug_Request_lock_tag)), EP_OK);
}

static void sign_package(uint32_t number) {
  edgeplug_Begin *begin = &package.begin;
  begin->key_id.size = 8;
  begin->signature.size = 64;
  key_id(number, begin->key_id.bytes);
  seal(begin->signature.bytes, key_of(number), begin->manifest.bytes, begin->manifest.size);
}

static void secure(edgeplug_Manifest *manifest) {
  manifest->security_version = 3;
}

static edgeplug_Request allow_downgrade(void) {
  edgeplug_Request request = plain(edgeplug_Request_allow_downgrade_tag);
  uint8_t digest[EP_SHA512_SIZE];
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, package.begin.manifest.bytes, package.begin.manifest.size);
  ep_sha512_final(&hash, digest);
  memcpy(request.body.allow_downgrade.digest, digest, EP_JOURNAL_DIGEST);
  return request;
}

/* ---- cuts ----------------------------------------------------------------------------------------- */

static world_t fork;
static void (*judge)(world_t *after, bool done);
static uint32_t cuts;

static void judge_cut(const world_t *before, const flash_operation_t *operation, cut_shape_t shape,
                      bool done) {
  world_copy(&fork, before);
  fork.flash.seed = fork.flash.seed * 31u + ++cuts;
  if (operation != NULL) flash_tear(&fork.flash, operation, shape);
  world_boot(&fork, EP_RESET_POWER_ON);
  CHECK(!fork.engine.journal.damaged);
  judge(&fork, done);
  CHECK_EQ(fork.flash.violations, 0);
}

static void on_operation(void *context, const flash_operation_t *operation) {
  world_t *before = context;
  flash_watch(NULL, NULL);
  for (uint32_t shape = 0; shape < CUT_SHAPES; shape++) {
    judge_cut(before, operation, (cut_shape_t)shape, false);
  }
  world_use(before);
  flash_watch(on_operation, before);
}

/* Cuts `deed` in every way at each of its flash operations, and after the last one; each time the board boots and
 * `look` judges it. */
static void cut_everywhere(int (*deed)(void), void (*look)(world_t *after, bool done)) {
  uint32_t before = cuts;
  judge = look;
  flash_watch(on_operation, &world);
  CHECK_EQ(deed(), EP_OK);
  flash_watch(NULL, NULL);
  judge_cut(&world, NULL, CUT_AFTER, true);
  world_use(&world);
  CHECK(cuts > before + CUT_SHAPES);
}

static uint32_t roles_in(world_t *board_now, uint32_t number) {
  ep_journal_t *journal = &board_now->engine.journal;
  uint8_t key[32];
  for (uint32_t index = 0; index < journal->keys; index++) {
    uint32_t role = ep_journal_key(journal, index, key);
    if (memcmp(key, key_of(number), 32) == 0) return role;
  }
  return 0;
}

static uint8_t told[8]; /* the nonce before the cut */

static int ask_nonce(void) {
  return challenge();
}

static void new_nonce(world_t *after, bool done) {
  edgeplug_Challenge reply = edgeplug_Challenge_init_zero;
  uint32_t journaled, before;
  (void)done;
  CHECK_EQ(ep_hotswap_challenge(&after->engine, &reply), EP_OK);
  memcpy(&journaled, reply.nonce, sizeof journaled);
  memcpy(&before, nonce, sizeof before); /* told, if it got so far */
  CHECK(memcmp(reply.nonce, told, sizeof told) != 0);
  if (done) CHECK(journaled > before);
  memcpy(&before, told, sizeof before);
  CHECK(journaled > before);
}

static int replace_operator(void) {
  return carry_out(replace_key(OPERATOR, STRANGER));
}

static void one_operator(world_t *after, bool done) {
  uint32_t old = roles_in(after, OPERATOR), new = roles_in(after, STRANGER);
  CHECK_EQ(after->engine.journal.keys, 2);
  CHECK_EQ(old + new, edgeplug_KeyRole_KEY_ROLE_OPERATOR); /* the role's number: one of both has it */
  CHECK_EQ(roles_in(after, PUBLISHER), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  if (done) CHECK_EQ(old, 0);
}

static int remove_third(void) {
  return carry_out(remove_key(3));
}

static void two_or_three_keys(world_t *after, bool done) {
  uint32_t third = roles_in(after, 3);
  CHECK_EQ(after->engine.journal.keys, third != 0u ? 3 : 2);
  CHECK_EQ(roles_in(after, PUBLISHER), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  CHECK_EQ(roles_in(after, OPERATOR), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  if (done) CHECK_EQ(third, 0);
}

static int unlock(void) {
  return by_operator(plain(edgeplug_Request_unlock_tag));
}

static void keys_as_before(world_t *after, bool done) {
  CHECK_EQ(after->engine.journal.keys, 2);
  CHECK_EQ(roles_in(after, PUBLISHER), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  CHECK_EQ(roles_in(after, OPERATOR), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  if (done) CHECK(!ep_hotswap_locked(&after->engine));
}

/* ---- the tests ------------------------------------------------------------------------------------ */

static void nonces(flash_geometry_t geometry) {
  TEST("a nonce is journaled before it is told, once a boot; each challenge makes another one") {
    uint8_t first[8];
    board(geometry, true);
    CHANGES_FLASH(CHECK_EQ(challenge(), EP_OK));
    memcpy(first, nonce, sizeof first);
    base = world;
    for (uint32_t count = 2; count < 20; count++) {
      CHECK_EQ(challenge(), EP_OK);
      CHECK(memcmp(first, nonce, 4) == 0);
      CHECK_EQ(nonce[4], count);
    }
    CHECK_EQ(world.flash.operations, base.flash.operations);
    world_boot(&world, EP_RESET_REQUESTED);
    CHECK_EQ(challenge(), EP_OK);
    CHECK(memcmp(first, nonce, 4) != 0);
  }
  TEST("a nonce that can't be journaled is not told, and there is none") {
    edgeplug_Request request;
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    request = sign(plain(edgeplug_Request_unlock_tag), OPERATOR);
    world.engine.authority.nonce[1] = 0xFFFFFFFFu; /* the next one needs the journal again */
    world.engine.journal.damaged = EP_ERR_JOURNAL;
    CHECK_EQ(challenge(), EP_ERR_JOURNAL);
    world.engine.journal.damaged = EP_OK;
    CHECK_EQ(carry_out(request), EP_ERR_NONCE);
    CHECK_EQ(by_operator(plain(edgeplug_Request_unlock_tag)), EP_OK);
  }
  TEST("when the challenges of one boot are used up the journaled counter goes on") {
    uint8_t last[8];
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    world.engine.authority.nonce[1] = 0xFFFFFFFEu;
    CHECK_EQ(challenge(), EP_OK);
    memcpy(last, nonce, sizeof last);
    CHECK_EQ(last[4], 0xFF);
    CHANGES_FLASH(CHECK_EQ(challenge(), EP_OK));
    CHECK_EQ(nonce[4], 1);
    CHECK_EQ(nonce[0], last[0] + 1);
    CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), OPERATOR)), EP_OK);
  }
  TEST("nonces end cleanly at 0xFFFFFFFF: signed commands are over, packages are not") {
    ep_journal_t *journal = &world.engine.journal;
    uint8_t none[8] = {0};
    edgeplug_Request request;
    board(geometry, true);
    journal->kept[EP_KEPT_STATE].u.state.nonce = 0xFFFFFFFEu;
    CHECK_EQ(ep_journal_save(journal, EP_KEPT_STATE, EP_JOURNAL_STATE), EP_OK);
    CHECK_EQ(challenge(), EP_OK);
    CHECK_EQ(nonce[0] & nonce[1] & nonce[2] & nonce[3], 0xFF);
    request = sign(plain(edgeplug_Request_unlock_tag), OPERATOR);
    for (uint32_t boot = 0; boot < 3; boot++) {
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(challenge(), EP_ERR_NONCES);
      CHECK_EQ(carry_out(request), EP_ERR_NONCE);
      memcpy(nonce, none, sizeof nonce);
      CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), OPERATOR)), EP_ERR_NONCE);
    }
    CHECK(ep_hotswap_locked(&world.engine));
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    sign_package(PUBLISHER);
    CHECK_EQ(world_update(&world, &package), EP_OK);
  }
  TEST("a nonce is not told again, whichever entry of the journal rots") {
    board(geometry, true);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(challenge(), EP_OK);
    memcpy(told, nonce, sizeof told);
    base = world;
    for (uint32_t entry = 1; entry < world.engine.journal.next; entry++) {
      world = base;
      flash_rot(&world.flash,
                flash_map(geometry)->journal_address +
                    world.engine.journal.half * flash_map(geometry)->journal_half_size + 32u * entry + 9u,
                entry % 8u);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(challenge(), EP_OK);
      CHECK(memcmp(nonce, told, sizeof told) != 0);
    }
  }
  TEST("no nonce is told twice, wherever the power is cut while one is made") {
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    memcpy(told, nonce, sizeof told);
    for (uint32_t round = 0; round < 40; round++) {
      world_boot(&world, EP_RESET_POWER_ON);
      cut_everywhere(ask_nonce, new_nonce);
      memcpy(told, nonce, sizeof told);
    }
  }
}

static void commands(flash_geometry_t geometry) {
  TEST("an operator's signed command is carried out, once, and answered alike when it is repeated") {
    edgeplug_Request request;
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    request = sign(add_key(3, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), OPERATOR);
    CHANGES_FLASH(CHECK_EQ(carry_out(request), EP_OK));
    CHECK_EQ(role_of(3), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
    base = world;
    CHECK_EQ(carry_out(request), EP_OK);
    CHECK_EQ(world.flash.operations, base.flash.operations);
    CHECK_EQ(by_operator(remove_key(3)), EP_OK);
    CHECK_EQ(carry_out(request), EP_ERR_NONCE);
    CHECK_EQ(role_of(3), 0);
  }
  TEST("a command that failed is not tried again by its repetition, and gives its first answer") {
    edgeplug_Request request;
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    request = sign(remove_key(OPERATOR), OPERATOR);
    CHECK_EQ(carry_out(request), EP_ERR_LAST_KEY);
    world.engine.journal.locked = false;
    CHECK_EQ(carry_out(add_key(3, edgeplug_KeyRole_KEY_ROLE_OPERATOR)), EP_OK);
    CHECK_EQ(carry_out(request), EP_ERR_LAST_KEY);
    CHECK_EQ(role_of(OPERATOR), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  }
  TEST("another command under a nonce that is used up is refused, and nothing is done") {
    board(geometry, true);
    CHECK_EQ(by_operator(add_key(3, edgeplug_KeyRole_KEY_ROLE_PUBLISHER)), EP_OK);
    CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), OPERATOR)), EP_ERR_NONCE);
    CHECK(ep_hotswap_locked(&world.engine));
  }
  TEST("a nonce is void after a reset, and after the next challenge") {
    edgeplug_Request request;
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    request = sign(plain(edgeplug_Request_unlock_tag), OPERATOR);
    CHECK_EQ(challenge(), EP_OK);
    CHECK_EQ(carry_out(request), EP_ERR_NONCE);
    request = sign(plain(edgeplug_Request_unlock_tag), OPERATOR);
    world_boot(&world, EP_RESET_REQUESTED);
    CHECK_EQ(carry_out(request), EP_ERR_NONCE);
    CHECK_EQ(challenge(), EP_OK);
    CHECK_EQ(carry_out(request), EP_ERR_NONCE);
    CHECK(ep_hotswap_locked(&world.engine));
  }
  TEST("a command signed for another board is refused") {
    edgeplug_Request request;
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    world.board = 1;
    request = sign(plain(edgeplug_Request_unlock_tag), OPERATOR);
    world.board = 0;
    CHECK_EQ(carry_out(request), EP_ERR_SIGNATURE);
    CHECK(ep_hotswap_locked(&world.engine));
  }
  TEST("who signs what: unknown keys and publishers' sign no command, operators' no package") {
    edgeplug_BeginReply reply;
    for (uint32_t locked = 0; locked < 2; locked++) {
      board(geometry, locked != 0u);
      CHECK_EQ(challenge(), EP_OK);
      CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), STRANGER)), EP_ERR_KEY_UNKNOWN);
      CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), PUBLISHER)), EP_ERR_KEY_ROLE);
      package_make(&package, 1, AGENT_GOOD, 300, NULL);
      sign_package(OPERATOR);
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_KEY_ROLE);
      CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), OPERATOR)), EP_OK);
    }
  }
  TEST("a flipped bit anywhere in a signed command makes it another one, and leaves the nonce to the right "
       "one") {
    edgeplug_Request request, flipped;
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    request = sign(add_key(3, edgeplug_KeyRole_KEY_ROLE_PUBLISHER), OPERATOR);
    base = world;
    for (uint32_t bit = 0; bit < 8u * sizeof request.body.signed_command; bit++) {
      const edgeplug_SignedCommand *command = &request.body.signed_command;
      uint32_t at = bit / 8u, size = offsetof(edgeplug_SignedCommand, command) +
                                     offsetof(edgeplug_SignedCommand_command_t, bytes) +
                                     command->command.size;
      int error;
      if (at < 2u || (at >= size && at < offsetof(edgeplug_SignedCommand, nonce)))
        continue; /* not on the line */
      flipped = request;
      ((uint8_t *)&flipped.body.signed_command)[at] ^= (uint8_t)(1u << bit % 8u);
      error = carry_out(flipped);
      CHECK(error == EP_ERR_NONCE || error == EP_ERR_KEY_UNKNOWN || error == EP_ERR_SIGNATURE);
    }
    CHECK_EQ(world.flash.operations, base.flash.operations);
    CHECK_EQ(carry_out(request), EP_OK);
  }
  TEST("what is signed and no single command is no request that makes sense, and nothing is done") {
    static const struct {
      const char *what;
      uint8_t size, bytes[10];
    } garbage[] = {
        {"nothing", 0, {0}},
        {"noise", 5, {0xFF, 0x13, 0x80, 0x44, 0x02}},
        {"hello", 2, {0x12, 0}},
        {"status", 2, {0x1A, 0}},
        {"activate", 2, {0x32, 0}},
        {"lock", 3, {0x8A, 1, 0}},
        {"challenge", 3, {0x9A, 1, 0}},
        {"a signed command", 3, {0xA2, 1, 0}},
        {"an id", 5, {0x08, 1, 0xBA, 1, 0}},
        {"an id that looks like a length", 5, {0x08, 3, 0xBA, 1, 0}},
        {"an id behind", 5, {0xBA, 1, 0, 0x08, 1}},
        {"a zero behind", 4, {0xBA, 1, 0, 0}},
        {"a field of no meaning behind", 6, {0xBA, 1, 0, 0xFA, 7, 0}},
        {"a field of no meaning before", 6, {0xFA, 7, 0, 0xBA, 1, 0}},
        {"a field of no meaning around", 6, {0xFA, 7, 3, 0xBA, 1, 0}},
        {"two commands", 6, {0xBA, 1, 0, 0xBA, 1, 0}},
        {"a tag longer than it need be", 4, {0xBA, 0x81, 0, 0}},
        {"a length longer than it need be", 4, {0xBA, 1, 0x80, 0}},
        {"a length beyond the end", 3, {0xBA, 1, 1}},
        {"a tag alone", 2, {0xBA, 1}},
        {"half a tag", 1, {0xBA}},
        {"another type", 3, {0xB8, 1, 0}},
    };
    for (uint32_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
      edgeplug_Request request;
      board(geometry, true);
      CHECK_EQ(challenge(), EP_OK);
      base = world;
      request = sign_bytes(garbage[i].bytes, garbage[i].size, OPERATOR);
      if (!CHECK_EQ(carry_out(request), EP_ERR_BAD_REQUEST)) printf("# %s\n", garbage[i].what);
      CHECK_EQ(carry_out(request), EP_ERR_BAD_REQUEST);
      CHECK(ep_hotswap_locked(&world.engine));
      CHECK_EQ(world.flash.operations, base.flash.operations);
    }
    board(geometry, true);
    CHECK_EQ(challenge(), EP_OK);
    CHECK_EQ(carry_out(sign_bytes("\xBA\x01\x00", 3, OPERATOR)), EP_OK); /* as it should be */
  }
  TEST("an open board checks a signed command just the same") {
    edgeplug_Request request;
    board(geometry, false);
    CHECK_EQ(carry_out(sign(remove_key(OPERATOR), OPERATOR)), EP_ERR_NONCE);
    CHECK_EQ(challenge(), EP_OK);
    request = sign(add_key(3, edgeplug_KeyRole_KEY_ROLE_OPERATOR), OPERATOR);
    request.body.signed_command.signature[40] ^= 1;
    CHECK_EQ(carry_out(request), EP_ERR_SIGNATURE);
    request.body.signed_command.signature[40] ^= 1;
    CHECK_EQ(carry_out(request), EP_OK);
    CHECK_EQ(role_of(3), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  }
  TEST("a board with a damaged journal gives no nonce and takes no command, signed or not") {
    uint32_t size = 2u * flash_map(geometry)->journal_half_size;
    board(geometry, true);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    sign_package(PUBLISHER);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    memset(world.flash.bytes + flash_map(geometry)->journal_address, 0x5A, size);
    world_boot(&world, EP_RESET_POWER_ON);
    base = world;
    CHECK_EQ(challenge(), EP_ERR_JOURNAL);
    CHECK_EQ(challenge(), EP_ERR_JOURNAL);
    CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), OPERATOR)), EP_ERR_NONCE);
    CHECK_EQ(carry_out(plain(edgeplug_Request_unlock_tag)), EP_ERR_LOCKED);
    CHECK_EQ(world.flash.operations, base.flash.operations);
  }
}

static void deeds(flash_geometry_t geometry) {
  TEST("abort of a staging needs no authority on a locked board, abort of a trial does") {
    edgeplug_BeginReply reply;
    board(geometry, true);
    CHECK_EQ(carry_out(plain(edgeplug_Request_abort_tag)), EP_ERR_NO_SESSION);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    sign_package(PUBLISHER);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    package_make(&package, 2, AGENT_GOOD, 300, NULL);
    sign_package(PUBLISHER);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_OK);
    CHECK_EQ(carry_out(plain(edgeplug_Request_abort_tag)), EP_OK);
    CHECK_EQ(world_stage(&world, &package), EP_OK);
    CHECK_EQ(carry_out(plain(edgeplug_Request_abort_tag)), EP_OK);
    CHECK_EQ(world_push(&world, &package), EP_OK);
    CHECK_EQ(carry_out(plain(edgeplug_Request_abort_tag)), EP_ERR_LOCKED);
    CHECK_EQ(world.engine.phase, edgeplug_UpdatePhase_UPDATE_PHASE_TRIAL);
    CHECK_EQ(by_operator(plain(edgeplug_Request_abort_tag)), EP_OK);
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("rollback, confirmation and the spent list of a locked board are the operator's") {
    edgeplug_SpentList list;
    board(geometry, true);
    for (uint32_t id = 1; id <= 2; id++) {
      package_make(&package, id, AGENT_GOOD, 300, NULL);
      sign_package(PUBLISHER);
      CHECK_EQ(world_update(&world, &package), EP_OK);
    }
    package_make(&package, 3, AGENT_TRAPS, 300, NULL);
    sign_package(PUBLISHER);
    CHECK_EQ(world_update(&world, &package), EP_ERR_ROLLED_BACK);
    CHECK_EQ(by_operator(plain(edgeplug_Request_clear_spent_tag)), EP_OK);
    ep_hotswap_spent(&world.engine, &list);
    CHECK_EQ(list.digests_count, 0);
    CHECK_EQ(by_operator(plain(edgeplug_Request_confirm_tag)), EP_ERR_NOT_IN_TRIAL);
    package_make(&package, 4, AGENT_GOOD, 300, NULL);
    sign_package(PUBLISHER);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    CHECK_EQ(world_running(&world), 4);
    CHECK_EQ(by_operator(plain(edgeplug_Request_rollback_tag)), EP_OK);
    CHECK_EQ(world_running(&world), 2);
  }
  TEST("a downgrade on a locked board needs the operator's grant for exactly that manifest, and the flag") {
    edgeplug_BeginReply reply;
    edgeplug_Request grant, other;
    board(geometry, true);
    package_make(&package, 5, AGENT_GOOD, 300, secure);
    sign_package(PUBLISHER);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    package_make(&package, 4, AGENT_GOOD, 300, secure);
    other = allow_downgrade();
    for (uint32_t security = 0; security < 2; security++) {
      package_make(&package, 3, AGENT_GOOD, 300, security != 0u ? NULL : secure);
      sign_package(PUBLISHER);
      grant = allow_downgrade();
      package.begin.allow_downgrade = true;
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_LOCKED);
      CHECK_EQ(carry_out(grant), EP_ERR_LOCKED);
      CHECK_EQ(by_operator(other), EP_OK);
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_LOCKED);
      CHECK_EQ(by_operator(grant), EP_OK);
      package.begin.allow_downgrade = false;
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply),
               security != 0u ? EP_ERR_SECURITY_VERSION : EP_ERR_RELEASE);
      package.begin.allow_downgrade = true;
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_OK);
      CHECK_EQ(carry_out(plain(edgeplug_Request_abort_tag)), EP_OK);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_LOCKED);
      CHECK_EQ(by_operator(grant), EP_OK);
      CHECK_EQ(by_operator(other), EP_OK); /* the next grant takes its place */
      CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_ERR_LOCKED);
    }
    CHECK_EQ(by_operator(grant), EP_OK);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    CHECK_EQ(world_running(&world), 3);
    CHECK_EQ(world.engine.journal.kept[EP_KEPT_STATE].u.state.security_version, 3); /* the floor stays */
  }
  TEST("the last key of a role is never removed, on open boards too; the others are, and the history says "
       "so") {
    board(geometry, false);
    CHECK_EQ(carry_out(remove_key(PUBLISHER)), EP_ERR_LAST_KEY);
    CHECK_EQ(carry_out(remove_key(OPERATOR)), EP_ERR_LAST_KEY);
    CHECK_EQ(carry_out(remove_key(STRANGER)), EP_ERR_KEY_UNKNOWN);
    CHECK_EQ(carry_out(add_key(3, edgeplug_KeyRole_KEY_ROLE_PUBLISHER)), EP_OK);
    CHECK_EQ(carry_out(remove_key(OPERATOR)), EP_ERR_LAST_KEY);
    CHECK_EQ(carry_out(remove_key(PUBLISHER)), EP_OK);
    CHECK_EQ(newest_history(), edgeplug_HistoryKind_HISTORY_KIND_KEY_REMOVED);
    CHECK_EQ(carry_out(remove_key(PUBLISHER)), EP_ERR_KEY_UNKNOWN);
    CHECK_EQ(carry_out(remove_key(3)), EP_ERR_LAST_KEY);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(role_of(PUBLISHER), 0);
    CHECK_EQ(role_of(OPERATOR), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
    CHECK_EQ(role_of(3), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  }
  TEST("a replaced key hands on its role, and only if the new one has no other") {
    board(geometry, false);
    CHECK_EQ(carry_out(replace_key(STRANGER, 3)), EP_ERR_KEY_UNKNOWN);
    CHECK_EQ(carry_out(replace_key(OPERATOR, PUBLISHER)), EP_ERR_KEY_ROLE);
    CHECK_EQ(carry_out(replace_key(OPERATOR, 3)), EP_OK);
    CHECK_EQ(newest_history(), edgeplug_HistoryKind_HISTORY_KIND_KEY_REPLACED);
    CHECK_EQ(role_of(OPERATOR), 0);
    CHECK_EQ(role_of(3), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
    CHECK_EQ(carry_out(replace_key(3, 3)), EP_OK); /* by itself */
    CHECK_EQ(role_of(3), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
    CHECK_EQ(carry_out(add_key(4, edgeplug_KeyRole_KEY_ROLE_OPERATOR)), EP_OK);
    CHECK_EQ(carry_out(replace_key(3, 4)), EP_OK); /* by one that is there */
    CHECK_EQ(role_of(3), 0);
    CHECK_EQ(role_of(4), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
    CHECK_EQ(world.engine.journal.keys, 2);
    for (uint32_t key = 10; key < 16; key++) {
      CHECK_EQ(carry_out(add_key(key, edgeplug_KeyRole_KEY_ROLE_PUBLISHER)), EP_OK);
    }
    CHECK_EQ(carry_out(replace_key(10, 20)), EP_OK); /* on a board that is full */
    CHECK_EQ(world.engine.journal.keys, 8);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(role_of(10), 0);
    CHECK_EQ(role_of(20), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  }
  TEST("unlock opens the board, over a reset too, and is no change on one that is open") {
    board(geometry, true);
    CHECK_EQ(by_operator(plain(edgeplug_Request_unlock_tag)), EP_OK);
    CHECK_EQ(newest_history(), edgeplug_HistoryKind_HISTORY_KIND_UNLOCKED);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK(!ep_hotswap_locked(&world.engine));
    base = world;
    CHECK_EQ(carry_out(plain(edgeplug_Request_unlock_tag)), EP_OK);
    CHECK_EQ(world.flash.operations, base.flash.operations);
    CHECK_EQ(carry_out(plain(edgeplug_Request_lock_tag)), EP_OK);
    CHECK(ep_hotswap_locked(&world.engine));
  }
  TEST("any change of keys or lock stands in both halves: either one alone has it") {
    board(geometry, true);
    CHECK_EQ(by_operator(add_key(3, edgeplug_KeyRole_KEY_ROLE_OPERATOR)), EP_OK);
    CHECK_EQ(by_operator(remove_key(OPERATOR)), EP_OK);
    CHECK_EQ(challenge(), EP_OK);
    CHECK_EQ(carry_out(sign(replace_key(PUBLISHER, 4), 3)), EP_OK);
    CHECK_EQ(challenge(), EP_OK);
    CHECK_EQ(carry_out(sign(plain(edgeplug_Request_unlock_tag), 3)), EP_OK);
    base = world;
    for (uint32_t half = 0; half < 2; half++) {
      world = base;
      memset(world.flash.bytes + flash_map(geometry)->journal_address +
                 half * flash_map(geometry)->journal_half_size,
             0x5A, flash_map(geometry)->journal_half_size);
      world_boot(&world, EP_RESET_POWER_ON);
      CHECK(!ep_hotswap_locked(&world.engine));
      CHECK_EQ(world.engine.journal.keys, 2);
      CHECK_EQ(role_of(3), edgeplug_KeyRole_KEY_ROLE_OPERATOR);
      CHECK_EQ(role_of(4), edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
    }
  }
  TEST("a replacement is whole or not at all, wherever the power is cut") {
    board(geometry, false);
    cut_everywhere(replace_operator, one_operator);
  }
  TEST("a removal takes one key or none, wherever the power is cut") {
    board(geometry, false);
    CHECK_EQ(carry_out(add_key(3, edgeplug_KeyRole_KEY_ROLE_OPERATOR)), EP_OK);
    cut_everywhere(remove_third, two_or_three_keys);
  }
  TEST("unlocking touches no key, wherever the power is cut") {
    board(geometry, true);
    cut_everywhere(unlock, keys_as_before);
  }
}

int main(void) {
  for (uint32_t geometry = FLASH_L5; geometry <= FLASH_NOR; geometry++) {
    printf(geometry == FLASH_L5 ? "# 2 KiB pages, 8-byte units\n" : "# 4 KiB erases, 256-byte programs\n");
    nonces((flash_geometry_t)geometry);
    commands((flash_geometry_t)geometry);
    deeds((flash_geometry_t)geometry);
  }
  return check_done();
}
