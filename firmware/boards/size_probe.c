/* Compiled, never linked: scripts/check-size.mjs reads from the object how large the engine's context is on Arm. */
#include "hotswap/hotswap.h"

extern const uint8_t ep_size_of_hotswap[sizeof(ep_hotswap_t)];
const uint8_t ep_size_of_hotswap[sizeof(ep_hotswap_t)] = {0};
