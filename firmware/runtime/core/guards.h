/* Output guards: what an agent wants, and what the machine gets. Runs in the scan. */
#ifndef EP_CORE_GUARDS_H
#define EP_CORE_GUARDS_H

#include <stdint.h>

#include "package.pb.h"

/* Limits `wanted` to the manifest's min, max and slew rate against `outputs` (the values applied last)
 * and writes the result to `outputs`. A NaN keeps the last value. Returns the number of channels that
 * had to be changed. Arrays shorter than `count` leave the channels beyond them free. [scan] */
uint32_t ep_guards_apply(const edgeplug_Guards *guards, const float *wanted, float *outputs, uint32_t count);

#endif
