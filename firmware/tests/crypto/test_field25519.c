#include "check.h"

#include <stdint.h>

#include "crypto/field25519.h"
#include "field_reference.h"
#include "hex.h"

int main(void) {
  TEST("sum, difference and product agree with bit-by-bit arithmetic on 20,000 pairs with limbs on the edges "
       "(seed 1)") {
    CHECK(reference_agrees(1, 20000));
  }

  TEST("the largest values stand for what they are: 2^256 − 1 is 37, 2p is 0, and their products follow") {
    ep_field_t max, twice_p, result, expected;
    uint32_t product[8];
    memset(max.limb, 0xff, sizeof max.limb);
    twice_p = max;
    twice_p.limb[0] = 0xffffffdau;
    CHECK(ep_field_is_zero(&twice_p));
    ep_field_multiply(&result, &max, &max);
    expected = (ep_field_t){{37 * 37}};
    CHECK(reference_equal(&result, expected.limb));
    ep_field_add(&result, &max, &max);
    expected = (ep_field_t){{74}};
    CHECK(reference_equal(&result, expected.limb));
    ep_field_subtract(&result, &twice_p, &max);
    memcpy(product, reference_p, sizeof product);
    product[0] -= 37;
    CHECK(reference_equal(&result, product));
    ep_field_multiply(&result, &max, &twice_p);
    CHECK(ep_field_is_zero(&result));
  }

  TEST("an inverse times its element is 1, and the inverse of 0 is 0") {
    static const ep_field_t zero;
    uint64_t seed = 5;
    uint32_t one[8] = {1};
    for (int round = 0; round < 50; round++) {
      ep_field_t a, inverse;
      reference_draw(&a, &seed);
      if (ep_field_is_zero(&a)) continue;
      ep_field_invert(&inverse, &a);
      ep_field_multiply(&inverse, &inverse, &a);
      CHECK(reference_equal(&inverse, one));
    }
    ep_field_t inverse;
    ep_field_invert(&inverse, &zero);
    CHECK(ep_field_is_zero(&inverse));
  }

  TEST("a to the power (p − 5)/8, squared thrice and times a^4, is a^(p − 1) = 1") {
    uint64_t seed = 6;
    uint32_t one[8] = {1};
    for (int round = 0; round < 20; round++) {
      ep_field_t a, power, fourth;
      reference_draw(&a, &seed);
      if (ep_field_is_zero(&a)) continue;
      ep_field_power_p58(&power, &a);
      ep_field_square(&power, &power, 3);
      ep_field_square(&fourth, &a, 2);
      ep_field_multiply(&power, &power, &fourth);
      CHECK(reference_equal(&power, one));
    }
  }

  TEST("bytes come back as they went in if they are below p, and reduced if not") {
    static const char *const pairs[][2] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
        {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "1200000000000000000000000000000000000000000000000000000000000000"},
        {"0000000000000000000000000000000000000000000000000000000000000080",
         "1300000000000000000000000000000000000000000000000000000000000000"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "2500000000000000000000000000000000000000000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
      uint8_t in[32], expected[32], out[32];
      ep_field_t a;
      hex_decode(in, pairs[i][0]);
      hex_decode(expected, pairs[i][1]);
      ep_field_from_bytes(&a, in);
      ep_field_to_bytes(out, &a);
      CHECK_BYTES(out, expected, 32);
    }
  }
  return check_done();
}
