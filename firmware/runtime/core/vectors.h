/* Test vectors: what the module's custom section `edgeplug` says that the agent answers. */
#ifndef EP_CORE_VECTORS_H
#define EP_CORE_VECTORS_H

#include "core/agents.h"

/* Runs all vectors of the module in `bank`, in order, in its present instance, against channels of
 * their own. EP_OK (also when there are none), EP_ERR_VECTOR, or what made the agent trap;
 * bank->message says which vector. */
int ep_vectors_run(ep_bank_t *bank);

#endif
