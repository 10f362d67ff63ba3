#include "core/guards.h"

#include <stdbool.h>

/* A limit that isn't a number limits nothing, as every comparison with it is false. */
static float ep_guard_channel(const edgeplug_Guards *guards, uint32_t channel, float wanted, float last) {
  float value = wanted;
  if (wanted != wanted) return last;
  if (channel < guards->slew_count) {
    float slew = guards->slew[channel];
    if (value > last + slew) value = last + slew;
    if (value < last - slew) value = last - slew;
  }
  /* Range after slew: a last value outside the range (another agent's) is brought inside at once. */
  if (channel < guards->min_count && value < guards->min[channel]) value = guards->min[channel];
  if (channel < guards->max_count && value > guards->max[channel]) value = guards->max[channel];
  return value;
}

uint32_t ep_guards_apply(const edgeplug_Guards *guards, const float *wanted, float *outputs, uint32_t count) {
  uint32_t hits = 0;
  for (uint32_t channel = 0; channel < count; channel++) {
    float value = ep_guard_channel(guards, channel, wanted[channel], outputs[channel]);
    bool unchanged = value == wanted[channel];
    if (!unchanged) hits++;
    outputs[channel] = value;
  }
  return hits;
}
