/** What can be told of a module without running it. */
import { EdgePlugError } from "../errors.js";
import { PAYLOAD_MAX, type AgentKindName } from "../manifest.js";
import { reachable, readWasm, type WasmOutline } from "./wasm-outline.js";

const OFFERED = new Set([
  "edgeplug.input",
  "edgeplug.output",
  "edgeplug.now_us",
  "edgeplug.log",
  "env.abort",
]);

/** Exports that run only before the first scan: what they do is paid from limits.initFuel. */
const BEFORE_SCANS = new Set(["init", "io_buffer"]);

export interface ModuleNeeds {
  kind: AgentKindName;
  /** limits.ioBuffer */
  ioBuffer: number;
  stateId: number;
}

/**
 * Checks size, imports, exports, and that no code can ask for more memory once scans run. Throws PACKAGE_TOO_LARGE,
 * MODULE_MALFORMED, MODULE_IMPORT, MODULE_EXPORT or AGENT_CHECK.
 */
export function inspectModule(wasm: Uint8Array, needs: ModuleNeeds): WasmOutline {
  if (wasm.length > PAYLOAD_MAX)
    throw new EdgePlugError(
      "PACKAGE_TOO_LARGE",
      `The module takes ${wasm.length} bytes, and a slot holds ${PAYLOAD_MAX}.`,
      { detail: wasm.length },
    );
  const outline = readWasm(wasm);
  for (const { module, name, kind } of outline.imports)
    if (kind !== "func" || !OFFERED.has(`${module}.${name}`))
      throw new EdgePlugError(
        "MODULE_IMPORT",
        `The module imports ${kind} ${module}.${name}, which no board offers.`,
      );
  checkExports(outline, needs);
  checkMemoryGrowth(outline);
  return outline;
}

function checkExports(outline: WasmOutline, needs: ModuleNeeds): void {
  const has = (name: string): boolean =>
    outline.exports.some((one) => one.kind === "func" && one.name === name);
  const entry = needs.kind === "control" ? "scan" : "handle";
  const missing = (name: string, why: string): EdgePlugError =>
    new EdgePlugError("MODULE_EXPORT", `The module does not export ${name}, which ${why} needs.`);
  if (!has(entry)) throw missing(`${entry}()`, `a ${needs.kind} agent`);
  if (needs.ioBuffer > 0 && !has("io_buffer"))
    throw new EdgePlugError(
      "MODULE_EXPORT",
      "The module does not export io_buffer(), which limits.ioBuffer needs.",
      {
        action: 'Add `export { io_buffer } from "@edgeplug/sdk";`, or set limits.ioBuffer to 0.',
      },
    );
  if (needs.stateId === 0) return;
  for (const name of ["save", "restore"]) if (!has(name)) throw missing(`${name}()`, "stateId");
}

/** A board answers memory.grow with -1, so code that needs it would fail in the field; the start may try and fail here. */
function checkMemoryGrowth(outline: WasmOutline): void {
  for (const { name, kind, index } of outline.exports) {
    if (kind !== "func" || BEFORE_SCANS.has(name)) continue;
    for (const reached of reachable(outline, [index]))
      if (outline.functions[reached]?.growsMemory === true)
        throw new EdgePlugError("AGENT_CHECK", `${name}() can call memory.grow (in function ${reached}).`, {
          action:
            "Allocate objects, arrays and strings once, outside of functions; the SDK's log helpers allocate nothing.",
        });
  }
}
