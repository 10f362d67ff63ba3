/* Output guards: what the machine gets of what an agent wants. */
#include <math.h>

#include "check.h"
#include "core/guards.h"

static edgeplug_Guards guards(float min, float max, float slew) {
  edgeplug_Guards made = edgeplug_Guards_init_zero;
  made.min_count = made.max_count = made.slew_count = 1;
  made.min[0] = min;
  made.max[0] = max;
  made.slew[0] = slew;
  return made;
}

int main(void) {
  TEST("a value inside range and slew passes unchanged and counts no hit") {
    edgeplug_Guards limits = guards(-10, 10, 2);
    float wanted[1] = {4}, outputs[1] = {3};
    CHECK_EQ(ep_guards_apply(&limits, wanted, outputs, 1), 0);
    CHECK(outputs[0] == 4);
  }

  TEST("a value beyond a limit is set to the limit, on either side") {
    edgeplug_Guards limits = guards(-10, 10, 1000);
    float high[1] = {11}, low[1] = {-99}, outputs[1] = {0};
    CHECK_EQ(ep_guards_apply(&limits, high, outputs, 1), 1);
    CHECK(outputs[0] == 10);
    CHECK_EQ(ep_guards_apply(&limits, low, outputs, 1), 1);
    CHECK(outputs[0] == -10);
  }

  TEST("an output never moves by more than its slew in one scan") {
    edgeplug_Guards limits = guards(-100, 100, 2);
    float wanted[1] = {50}, outputs[1] = {0};
    for (int scan = 1; scan <= 25; scan++) {
      ep_guards_apply(&limits, wanted, outputs, 1);
      CHECK(outputs[0] == 2.0f * (float)scan);
    }
    CHECK_EQ(ep_guards_apply(&limits, wanted, outputs, 1), 0);
  }

  TEST("a NaN keeps the last value and counts as a hit") {
    edgeplug_Guards limits = guards(-10, 10, 2);
    float wanted[1] = {NAN}, outputs[1] = {7};
    CHECK_EQ(ep_guards_apply(&limits, wanted, outputs, 1), 1);
    CHECK(outputs[0] == 7);
  }

  TEST("infinity is limited like any other value, with and without a slew") {
    edgeplug_Guards limits = guards(-10, 10, 2);
    float wanted[1] = {INFINITY}, outputs[1] = {0};
    ep_guards_apply(&limits, wanted, outputs, 1);
    CHECK(outputs[0] == 2);
    limits.slew_count = 0;
    ep_guards_apply(&limits, wanted, outputs, 1);
    CHECK(outputs[0] == 10);
  }

  TEST("a last value outside the range, another agent's, is brought inside at once") {
    edgeplug_Guards limits = guards(0, 10, 1);
    float wanted[1] = {5}, outputs[1] = {50};
    CHECK_EQ(ep_guards_apply(&limits, wanted, outputs, 1), 1);
    CHECK(outputs[0] == 10);
  }

  TEST("a channel beyond the manifest's arrays is free, and one beyond the count untouched") {
    edgeplug_Guards limits = guards(0, 10, 1);
    float wanted[3] = {5, 1000, 1000}, outputs[3] = {5, 0, 3};
    CHECK_EQ(ep_guards_apply(&limits, wanted, outputs, 2), 0);
    CHECK(outputs[1] == 1000);
    CHECK(outputs[2] == 3);
  }
  return check_done();
}
