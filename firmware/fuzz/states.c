#include "states.h"

#include <string.h>

#include "fuzz.h"

static fuzz_board_t states[STATES][2];

static void install(uint32_t kind) {
  const fuzz_package_t *package = fuzz_package(kind);
  FUZZ_CHECK(fuzz_board_update(package, &package->begin, true) == EP_OK);
}

static void add_key(uint32_t number, edgeplug_KeyRole role) {
  edgeplug_Request request = edgeplug_Request_init_zero;
  request.which_body = edgeplug_Request_add_key_tag;
  request.body.add_key.role = role;
  memcpy(request.body.add_key.public_key, fuzz_key(number), 32);
  FUZZ_CHECK(fuzz_board_request(&request)->response.error == 0u);
}

static void with_keys(void) {
  fuzz_package_t package = *fuzz_package(FUZZ_CONTROL);
  add_key(0, edgeplug_KeyRole_KEY_ROLE_PUBLISHER);
  add_key(1, edgeplug_KeyRole_KEY_ROLE_OPERATOR);
  fuzz_package_sign(&package.begin, fuzz_key(0));
  FUZZ_CHECK(fuzz_board_update(&package, &package.begin, true) == EP_OK);
}

static void begin_next(void) {
  edgeplug_Request request = edgeplug_Request_init_zero;
  request.which_body = edgeplug_Request_begin_tag;
  request.body.begin = fuzz_package(FUZZ_CONTROL_NEXT)->begin;
  FUZZ_CHECK(fuzz_board_request(&request)->response.error == 0u);
}

static void make(fuzz_state_t state) {
  const fuzz_package_t *next = fuzz_package(FUZZ_CONTROL_NEXT), *failing = fuzz_package(FUZZ_FAILING);
  if (state == STATE_KEYS || state == STATE_LOCKED) {
    with_keys();
  } else if (state != STATE_EMPTY && state != STATE_SERVING) {
    install(FUZZ_CONTROL);
  }
  switch (state) {
  case STATE_UPDATED: install(FUZZ_CONTROL_NEXT); break;
  case STATE_RECEIVING: begin_next(); break;
  case STATE_STAGED: FUZZ_CHECK(fuzz_board_update(next, &next->begin, false) == EP_OK); break;
  case STATE_SHADOW: {
    edgeplug_Request request = edgeplug_Request_init_zero;
    FUZZ_CHECK(fuzz_board_update(next, &next->begin, false) == EP_OK);
    request.which_body = edgeplug_Request_shadow_tag;
    request.body.shadow.scans = 20;
    request.body.shadow.allowed = 20;
    FUZZ_CHECK(fuzz_board_request(&request)->response.error == 0u);
    break;
  }
  case STATE_TRIAL:
    FUZZ_CHECK(fuzz_board_update(next, &next->begin, false) == EP_OK);
    FUZZ_CHECK(fuzz_board_ask(edgeplug_Request_activate_tag)->response.error == 0u);
    break;
  case STATE_REJECTED: FUZZ_CHECK(fuzz_board_update(failing, &failing->begin, true) != EP_OK); break;
  case STATE_SERVING: install(FUZZ_REQUEST); break;
  case STATE_LOCKED: FUZZ_CHECK(fuzz_board_ask(edgeplug_Request_lock_tag)->response.error == 0u); break;
  case STATE_WRAPPED:
    for (uint32_t boot = 0; boot < 300u; boot++) fuzz_board_boot(EP_RESET_POWER_ON);
    break;
  case STATE_DAMAGED:
    memset(fuzz_board_flash()->bytes + ep_board_map()->journal_address, 0xA5,
           2u * ep_board_map()->journal_half_size);
    memset(fuzz_board_flash()->flags + ep_board_map()->journal_address, 1,
           2u * ep_board_map()->journal_half_size);
    fuzz_board_boot(EP_RESET_POWER_ON);
    break;
  default: break;
  }
}

void fuzz_states_make(void) {
  for (uint32_t which = 0; which < 2u * STATES; which++) {
    fuzz_board_new(which % 2u == 0u ? FLASH_L5 : FLASH_NOR);
    fuzz_board_boot(EP_RESET_POWER_ON);
    make((fuzz_state_t)(which / 2u));
    FUZZ_CHECK(fuzz_board_violations() == 0u);
    fuzz_board_save(&states[which / 2u][which % 2u]);
  }
}

const fuzz_board_t *fuzz_state(uint32_t which) {
  return &states[which / 2u % STATES][which % 2u];
}
