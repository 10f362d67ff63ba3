/* The process image's channels on pins. */
#include <math.h>

#include "board.h"
#include "check.h"
#include "chip.h"
#include "core/board.h"

void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

static uint32_t compare(uint32_t channel) {
  return chip_register(0x40000434u + 4u * channel);
}

int main(void) {
  TEST("inputs are the voltages at inputs 5 to 8 of the converter, 3.3 V at full scale; channels beyond read "
       "0") {
    float inputs[6];
    chip_init();
    ep_stm32_channels_init();
    chip.adc[5] = 0;
    chip.adc[6] = 4095;
    chip.adc[7] = 2048;
    chip.adc[8] = 1;
    ep_board_inputs_read(inputs, 6);
    CHECK(inputs[0] == 0.0f && inputs[4] == 0.0f && inputs[5] == 0.0f);
    CHECK(fabsf(inputs[1] - 3.3f) < 1e-5f);
    CHECK(fabsf(inputs[2] - 3.3f * 2048.0f / 4095.0f) < 1e-5f);
    CHECK(fabsf(inputs[3] - 3.3f / 4095.0f) < 1e-6f);
    CHECK_EQ(chip.violations, 0);
  }
  TEST("a converter that does not come up makes inputs of 0, in bounded time") {
    float inputs[4] = {1, 1, 1, 1};
    chip_init();
    chip.dead = DEAD_ADC;
    ep_stm32_channels_init();
    CHECK(chip.now_ns < 500000000u);
    const uint64_t before = chip.now_ns;
    ep_board_inputs_read(inputs, 4);
    CHECK(chip.now_ns - before < 200000u);
    for (int i = 0; i < 4; i++) CHECK(inputs[i] == 0.0f);
  }
  TEST("outputs are percent of the period; what is no percentage stays within it") {
    static const struct {
      float percent;
      uint32_t duty;
    } cases[] = {{0.0f, 0},       {100.0f, 11000}, {50.0f, 5500},     {0.01f, 1},    {-5.0f, 0},
                 {250.0f, 11000}, {NAN, 0},        {INFINITY, 11000}, {-INFINITY, 0}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      const float outputs[4] = {cases[i].percent, 1.0f, 2.0f, cases[i].percent};
      chip_init();
      ep_stm32_channels_init();
      ep_board_outputs_write(outputs, 4, 1, 1);
      if (!CHECK_EQ(compare(0), cases[i].duty)) printf("# %g %%\n", (double)cases[i].percent);
      CHECK_EQ(compare(3), cases[i].duty);
      CHECK_EQ(compare(1), 110);
    }
  }
  TEST("outputs change with the same period: none is taken over while they are being written") {
    const float outputs[4] = {1, 2, 3, 4};
    chip_init();
    ep_stm32_channels_init();
    CHECK_EQ(chip_register(0x40000418u), 0x6868); /* preloaded */
    CHECK_EQ(chip_register(0x4000041Cu), 0x6868);
    ep_board_outputs_write(outputs, 4, 1, 1);
    CHECK_EQ(chip_register(0x40000400u), 0x81);
    CHECK_EQ(chip.torn_periods, 0);
  }
  TEST("PC6 to PC9 are the timer's, and no other pin of the port is touched") {
    chip_init();
    ep_stm32_channels_init();
    CHECK_EQ(chip_register(0x42020800u), 0xFFFAAFFFu);
    CHECK_EQ(chip_register(0x42020820u), 0x22000000u);
    CHECK_EQ(chip_register(0x42020824u), 0x22u);
    CHECK_EQ(chip_register(0x4000042Cu), 10999);
  }
  return check_done();
}
