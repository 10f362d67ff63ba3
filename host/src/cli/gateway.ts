/** edgeplug gateway */
import { Command } from "commander";

import type { EdgePlugError } from "../errors.js";
import type { GatewayConfig } from "../gateway/config.js";
import type { RunningGateway, StartOptions } from "../gateway/server.js";

type Report = Parameters<NonNullable<StartOptions["report"]>>[0];

interface GatewayFlags extends Record<string, unknown> {
  config?: string;
  json?: boolean;
}

const EXAMPLES = `
Every setting may also stand in the environment (EDGEPLUG_GATEWAY_LISTEN, …_DEVICE with commas) or in the file of --config
(TOML: listen = "0.0.0.0:50051", device = ["/dev/ttyUSB0"], tls_cert = "…"). Flags go before environment, environment before file.

At its first start the gateway makes a certificate authority, and a token of an admin that is shown only then. Clients compare
the authority's fingerprint once. SIGTERM or Ctrl-C stops it in good order; unfinished deployments go on at the next start.

Examples:
  edgeplug gateway --device /dev/ttyUSB0 --device /dev/ttyUSB1
  edgeplug gateway --auto --listen 0.0.0.0:50051 --name plant.example
  edgeplug gateway --device sim: --device sim:board.flash --state ./gateway-state
  edgeplug gateway --config /etc/edgeplug/gateway.toml --json
  edgeplug gateway token add maria --role operator
  edgeplug-push --device localhost:50051 agent.epk`;

export async function gatewayCommand(): Promise<Command> {
  const { flagOf, SETTINGS } = await import("../gateway/config.js");
  const command = new Command("gateway")
    .summary("serve this machine's boards to others, over gRPC with TLS")
    .description(
      "Owns serial ports and simulated boards, and serves them over gRPC: info, deployments with a queue for each board, " +
        "events, rollback, keys. TLS always; roles viewer, operator and admin by token or client certificate.",
    )
    .enablePositionalOptions();
  const collect = (value: string, before: readonly string[] | undefined): string[] => [
    ...(before ?? []),
    value,
  ];
  for (const setting of SETTINGS) {
    const { argument, help, key } = setting;
    const flags = argument === "" ? flagOf(setting) : `${flagOf(setting)} ${argument}`;
    if (key === "devices" || key === "names") command.option(flags, help, collect);
    else command.option(flags, help);
  }
  const { backupCommand } = await import("./gateway-backup.js");
  const { certCommand } = await import("./gateway-certs.js");
  const { tokenCommand } = await import("./gateway-tokens.js");
  for (const part of [tokenCommand(), certCommand(), backupCommand()]) command.addCommand(part);
  return command
    .option("--config <file>", "TOML file with settings")
    .option("--json", "print one JSON object for each thing that happens")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(flags: GatewayFlags): Promise<void> {
  const { readConfig, SETTINGS } = await import("../gateway/config.js");
  const given = SETTINGS.map(({ name }): [string, unknown] => [name, flags[camel(name)]]);
  const config = readConfig({ flags: Object.fromEntries(given), file: flags.config });
  const log = new GatewayLog(flags.json === true);
  const { startGateway } = await import("../gateway/server.js");
  const gateway = await startGateway(config, { report: (event) => log.report(event) });
  log.started(gateway, config);
  const signal = await asked();
  log.stopping(signal, config.graceMs);
  await gateway.stop(config.graceMs);
  log.stopped();
}

/** `tls_cert` → `tlsCert`, as commander names what it has read */
function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

const STOP_SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Resolves when the process is asked to stop; whoever asks a second time doesn't want to wait. */
function asked(): Promise<string> {
  return new Promise((resolve) => {
    let first = true;
    // an event loop without anything to do would end a gateway that has no ports yet
    const alive = setInterval(() => undefined, 60_000);
    for (const [signal, exit] of Object.entries(STOP_SIGNALS)) {
      process.on(signal, () => {
        if (!first) process.exit(exit);
        first = false;
        clearInterval(alive);
        resolve(signal);
      });
    }
  });
}

/** One line for each thing that happens, or one JSON object. */
class GatewayLog {
  constructor(private readonly json: boolean) {}

  started(gateway: RunningGateway, config: GatewayConfig): void {
    const { address, port, fingerprint, firstToken, version, metricsPort } = gateway;
    const metrics =
      metricsPort === 0 ? undefined : `http://${config.metrics?.host ?? ""}:${metricsPort}/metrics`;
    const lines = [
      `edgeplug gateway ${version} serves ${address}`,
      `  fingerprint  ${fingerprint}`,
      `  state        ${config.state}`,
      `  metrics      ${metrics ?? "off"}`,
    ];
    if (firstToken !== undefined) {
      lines.push(
        `  admin token  ${firstToken}`,
        "  Keep the token now: it is shown this once. `edgeplug login` takes it.",
      );
    }
    this.print(lines.join("\n"), {
      event: "serving",
      ...{ version, address, port, fingerprint, state: config.state, metrics: metrics ?? null },
      ...(firstToken === undefined ? {} : { token: firstToken }),
    });
  }

  report(event: Report): void {
    switch (event.event) {
      case "connected":
        return this.print(`board ${event.device} is on ${event.port}`, event);
      case "disconnected":
        return this.print(
          `board ${event.device} has gone from ${event.port}: ${event.error.message}`,
          told(event),
        );
      case "rival":
        return this.print(
          `boards on ${event.ports.join(" and ")} tell the same id ${event.device}: none is used until one is left`,
          event,
        );
      case "no-board":
        return this.print(`no board on ${event.port}: ${event.error.message}`, told(event));
      case "deployment": {
        const outcome =
          event.error === undefined ? "stays" : `failed: ${event.error.id} ${event.error.message}`;
        return this.print(`${event.title} on ${event.device} ${outcome} (${event.deployment})`, told(event));
      }
      case "certificate":
        return this.print(`certificate renewed, good until ${event.until.toISOString()}`, event);
      case "certificate-problem":
      case "state":
        return this.print(`${event.error.id}: ${event.error.message} ${event.error.action}`, told(event));
    }
  }

  stopping(signal: string, graceMs: number): void {
    this.print(
      `${signal}: takes no more calls; running deployments have ${graceMs / 1000} s. Once more ends at once.`,
      { event: "stopping", signal, graceMs },
    );
  }

  stopped(): void {
    this.print("stopped", { event: "stopped" });
  }

  private print(line: string, record: object): void {
    process.stdout.write(
      this.json ? `${JSON.stringify({ time: new Date().toISOString(), ...record })}\n` : `${line}\n`,
    );
  }
}

/** With the error as JSON has it, if there is one. */
function told<T extends { error: EdgePlugError | undefined }>(event: T): object {
  const { error, ...rest } = event;
  return error === undefined ? rest : { ...rest, error: error.toJSON() };
}
