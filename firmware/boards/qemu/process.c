/* The process that this board pretends to stand in. Everything follows from the time at which a scan was due, so
 * two runs see the same:
 *
 *   input 0  mains voltage, 50 Hz, 230 V RMS; every 2 s a sag to 70 % (0.5 s to 0.8 s) and a swell to 120 %
 *            (1.3 s to 1.5 s)
 *   input 1  temperature of a heated plant in °C: 20 at rest, 0.8 more for each percent of output 1, lag 2 s
 *   input 2  set point for it: 40 °C and 60 °C, 4 s each
 *   input 3  a ramp from 0 to 100 in 100 s
 */
#include "board.h"
#include "core/board.h"
#include "memory_map.h"

#define MAINS_PERIOD_US 20000u
#define MAINS_PEAK      325.26911935f /* 230 V × √2 */
#define PATTERN_US      2000000u
#define SET_POINT_US    8000000u
#define RAMP_US         100000000u
#define AMBIENT         20.0f
#define PLANT_GAIN      0.8f
#define PLANT_LAG_US    2000000.0f

static struct {
  uint64_t time_us; /* up to which the temperature is worked out */
  float temperature;
  float heating; /* output 1, 0 to 100 */
} plant = {.temperature = AMBIENT};

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
  if (pattern >= 500000u && pattern < 800000u) level = 0.7f;
  if (pattern >= 1300000u && pattern < 1500000u) level = 1.2f;
  const uint32_t phase = (uint32_t)(time_us % MAINS_PERIOD_US);
  return MAINS_PEAK * level * sine((float)phase / (float)MAINS_PERIOD_US);
}

static float temperature(uint64_t time_us) {
  const float passed = (float)(uint32_t)(time_us - plant.time_us);
  const float share = passed < PLANT_LAG_US ? passed / PLANT_LAG_US : 1.0f;
  plant.temperature += share * (AMBIENT + PLANT_GAIN * plant.heating - plant.temperature);
  plant.time_us = time_us;
  return plant.temperature;
}

void ep_board_inputs_read(float *inputs, uint32_t count) {
  const uint64_t time_us = ep_qemu_scan_due_us();
  const float channels[EP_MAP_INPUTS] = {
      mains(time_us),
      temperature(time_us),
      time_us % SET_POINT_US < SET_POINT_US / 2u ? 40.0f : 60.0f,
      (float)(uint32_t)(time_us % RAMP_US) / (float)(RAMP_US / 100u),
  };
  for (uint32_t i = 0; i < count; i++) inputs[i] = i < EP_MAP_INPUTS ? channels[i] : 0.0f;
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  if (count > 1u) plant.heating = outputs[1] < 0.0f ? 0.0f : outputs[1] > 100.0f ? 100.0f : outputs[1];
  ep_qemu_observe(outputs, count, scan, swap_number);
}
