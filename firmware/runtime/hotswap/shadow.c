/* The shadow run of a staged candidate: what begins it and what its end means. The agents run it. */
#include <string.h>

#include "defects.h"
#include "engine.h"
#include "errors.h"

/* Written so that a NaN is no tolerance. */
static bool ep_shadow_valid(const edgeplug_Shadow *wanted) {
  for (uint32_t index = 0; index < wanted->tolerance_count; index++) {
    if (!(wanted->tolerance[index] >= 0.0f)) return false;
  }
  return wanted->scans != 0u;
}

int ep_engine_shadow(ep_hotswap_t *engine, const edgeplug_Shadow *wanted) {
  int error;
  /* A host that missed the reply asks again. */
  if (engine->phase == edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW) {
    return memcmp(wanted, &engine->shadow, sizeof *wanted) == 0 ? EP_OK : EP_ERR_BUSY;
  }
  if (engine->phase != edgeplug_UpdatePhase_UPDATE_PHASE_STAGED) return EP_ERR_NO_SESSION;
  if (!ep_shadow_valid(wanted)) return EP_ERR_BAD_REQUEST;
  error = ep_agent_shadow(engine->agents, wanted);
  if (error == EP_ERR_HANDOVER) {
    ep_engine_fail(engine, edgeplug_EventKind_EVENT_KIND_STAGING_FAILED, edgeplug_Reason_REASON_HANDOVER,
                   error);
  }
  if (error != EP_OK) return error;
  memcpy(&engine->shadow, wanted, sizeof *wanted);
  ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_SHADOW);
  return EP_OK;
}

void ep_engine_poll_shadow(ep_hotswap_t *engine) {
  const edgeplug_ShadowReport *report = ep_agent_shadow_report(engine->agents);
  int error = EP_ERR_SHADOW;
  if (report->state == edgeplug_ShadowState_SHADOW_STATE_RUNNING) return;
  if (report->state == edgeplug_ShadowState_SHADOW_STATE_AGREED ||
      EP_DEFECT(ACTIVATED_AFTER_A_FAILED_SHADOW_RUN)) {
    ep_hotswap_touch(engine);
    ep_engine_phase(engine, edgeplug_UpdatePhase_UPDATE_PHASE_STAGED);
    return;
  }
  if (report->reason == edgeplug_Reason_REASON_TRAP) error = EP_ERR_AGENT_TRAP;
  if (report->reason == edgeplug_Reason_REASON_FUEL) error = EP_ERR_AGENT_FUEL;
  ep_engine_fail(engine, edgeplug_EventKind_EVENT_KIND_STAGING_FAILED, report->reason, error);
}
