/* The process that emulated boards pretend to stand in (real ones have pins). Everything follows from the time at
 * which a scan was due and from the outputs, so two runs see the same:
 *
 *   input 0  mains voltage, 50 Hz, 230 V RMS; every 2 s a sag to 70 % (0.5 s to 1.2 s) and a swell to 120 %
 *            (1.5 s to 1.7 s)
 *   input 1  temperature of a heated plant in °C: 20 at rest, 0.8 more for each percent of output 1, lag 2 s
 *   input 2  set point for it: 40 °C and 60 °C, 4 s each
 *   input 3  a ramp from 0 to 100 in 100 s
 */
#ifndef EP_PROCESS_H
#define EP_PROCESS_H

#include <stdint.h>

typedef struct {
  uint64_t time_us; /* up to which the temperature is worked out */
  float temperature;
  float heating; /* output 1, 0 to 100 */
} ep_process_t;

#define EP_PROCESS_START                                                                                     \
  { .temperature = 20.0f }

/* The inputs of the scan that was due at `time_us` since boot; channels beyond the four read 0. */
void ep_process_inputs(ep_process_t *process, uint64_t time_us, float *inputs, uint32_t count);

void ep_process_outputs(ep_process_t *process, const float *outputs, uint32_t count);

#endif
