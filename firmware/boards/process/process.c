#include "process.h"

#define CHANNELS        4u
#define MAINS_PERIOD_US 20000u
#define MAINS_PEAK      325.26911935f /* 230 V × √2 */
#define PATTERN_US      2000000u
#define SET_POINT_US    8000000u
#define RAMP_US         100000000u
#define AMBIENT         20.0f
#define PLANT_GAIN      0.8f
#define PLANT_LAG_US    2000000.0f

/* Sine of a whole turn given as 0..1, by its Taylor series on a quarter: within 4e-6. */
static float sine(float turn) {
  float x = turn * 4.0f; /* in quarter turns */
  float sign = 1.0f;
  if (x >= 2.0f) {
    x -= 2.0f;
    sign = -1.0f;
  }
  if (x > 1.0f) x = 2.0f - x;
  const float a = x * 1.57079633f;
  const float s = a * a;
  return sign * a * (1.0f - s / 6.0f * (1.0f - s / 20.0f * (1.0f - s / 42.0f * (1.0f - s / 72.0f))));
}

static float mains(uint64_t time_us) {
  const uint32_t pattern = (uint32_t)(time_us % PATTERN_US);
  float level = 1.0f;
  if (pattern >= 500000u && pattern < 1200000u) level = 0.7f;
  if (pattern >= 1500000u && pattern < 1700000u) level = 1.2f;
  const uint32_t phase = (uint32_t)(time_us % MAINS_PERIOD_US);
  return MAINS_PEAK * level * sine((float)phase / (float)MAINS_PERIOD_US);
}

static float temperature(ep_process_t *process, uint64_t time_us) {
  const float passed = (float)(uint32_t)(time_us - process->time_us);
  const float share = passed < PLANT_LAG_US ? passed / PLANT_LAG_US : 1.0f;
  process->temperature += share * (AMBIENT + PLANT_GAIN * process->heating - process->temperature);
  process->time_us = time_us;
  return process->temperature;
}

void ep_process_inputs(ep_process_t *process, uint64_t time_us, float *inputs, uint32_t count) {
  const float channels[CHANNELS] = {
      mains(time_us),
      temperature(process, time_us),
      time_us % SET_POINT_US < SET_POINT_US / 2u ? 40.0f : 60.0f,
      (float)(uint32_t)(time_us % RAMP_US) / (float)(RAMP_US / 100u),
  };
  for (uint32_t i = 0; i < count; i++) inputs[i] = i < CHANNELS ? channels[i] : 0.0f;
}

void ep_process_outputs(ep_process_t *process, const float *outputs, uint32_t count) {
  if (count > 1u) process->heating = outputs[1] < 0.0f ? 0.0f : outputs[1] > 100.0f ? 100.0f : outputs[1];
}
