/* Deliberate defects, by which the suite of power cuts is itself tried: each takes away one guard of one law, and has
 * to be caught. EP_DEFECT(NAME) is 0, and what depends on it is not compiled, unless -DEP_DEFECT_NAME says
 * otherwise; only the preset `sim` does that, for images of their own (build/sim/broken).
 */
#ifndef EP_HOTSWAP_DEFECTS_H
#define EP_HOTSWAP_DEFECTS_H

/* A name that is defined is 1 and pastes to a macro with a comma in it, which moves the 1 into second place. */
#define EP_DEFECT(name)                      EP_DEFECT_EXPAND(EP_DEFECT_##name)
#define EP_DEFECT_EXPAND(value)              EP_DEFECT_PASTE(value)
#define EP_DEFECT_PASTE(value)               EP_DEFECT_SECOND_OF(EP_DEFECT_IF_##value)
#define EP_DEFECT_SECOND_OF(pair)            EP_DEFECT_SECOND(pair 1, 0, 0)
#define EP_DEFECT_SECOND(first, second, ...) (second)
#define EP_DEFECT_IF_1                       0,

#endif
