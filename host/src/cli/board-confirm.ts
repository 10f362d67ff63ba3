/** edgeplug board confirm */
import { Command } from "commander";

import { openSigner, type SignerOptions } from "../signer/open.js";
import { withDevice, withSession, type DeviceOptions } from "./device-options.js";
import { Output } from "./output.js";
import { withSigner } from "./signer-options.js";

export function confirmCommand(): Command {
  const command = new Command("confirm")
    .summary("say that the agent in its trial may stay")
    .description(
      "Confirms the agent that is in its trial, now. Packages whose trial waits for the host need it; a locked board wants " +
        "it signed by an operator.",
    )
    .addHelpText(
      "after",
      `
Examples:
  edgeplug board confirm --device /dev/ttyUSB0
  edgeplug board confirm --device /dev/ttyUSB0 --key operator.key`,
    );
  return withSigner(withDevice(command), "operator").action(
    async (options: DeviceOptions & SignerOptions) => {
      const signer = await openSigner(options, "operator");
      await withSession(options, async (session, signal) => {
        const { active } = await session.execute({ kind: "confirm" }, { signer, signal });
        const { name = "", version = "", swapNumber = 0 } = active ?? {};
        new Output(options).result([`${name} ${version} (swap ${swapNumber}) stays`], {
          name,
          version,
          swapNumber,
        });
      });
    },
  );
}
