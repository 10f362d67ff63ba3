/** The list of commands. Each is a module of its own, loaded only when it is called. */
import type { Command } from "commander";

export interface CommandEntry {
  name: string;
  summary: string;
  load(): Promise<Command>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "keygen",
    summary: "make a key pair",
    load: async () => (await import("./keygen.js")).keygenCommand(),
  },
  {
    name: "new",
    summary: "begin an agent: source, manifest, a test that passes",
    load: async () => (await import("./new.js")).newCommand(),
  },
  {
    name: "build",
    summary: "compile an agent and check it in the board's own engine",
    load: async () => (await import("./build.js")).buildCommand(),
  },
  {
    name: "dev",
    summary: "build, check, push and swap an agent each time it is saved",
    load: async () => (await import("./dev.js")).devCommand(),
  },
  {
    name: "run",
    summary: "run an agent on recorded inputs, and draw what comes of it",
    load: async () => (await import("./run.js")).runCommand(),
  },
  {
    name: "pack",
    summary: "make a package of a built agent, signed or not",
    load: async () => (await import("./pack.js")).packCommand(),
  },
  {
    name: "verify",
    summary: "check a package's digests and signature",
    load: async () => (await import("./verify.js")).verifyCommand(),
  },
  {
    name: "inspect",
    summary: "show what a package says of itself",
    load: async () => (await import("./inspect.js")).inspectCommand(),
  },
  {
    name: "devices",
    summary: "list the boards that are connected, by what they say they are",
    load: async () => (await import("./devices.js")).devicesCommand(),
  },
  {
    name: "monitor",
    summary: "follow a board's logs, swaps, rollbacks and resets",
    load: async () => (await import("./monitor.js")).monitorCommand(),
  },
  {
    name: "history",
    summary: "print or export a board's journal",
    load: async () => (await import("./history.js")).historyCommand(),
  },
  {
    name: "completion",
    summary: "print a script that completes commands, options, files and devices",
    load: async () => (await import("./completion.js")).completionCommand(),
  },
  {
    name: "explain",
    summary: "say what an error code means and what to do about it",
    load: async () => (await import("./explain.js")).explainCommand(),
  },
  {
    name: "login",
    summary: "keep the token for a gateway",
    load: async () => (await import("./login.js")).loginCommand(),
  },
  {
    name: "logout",
    summary: "forget the token for a gateway",
    load: async () => (await import("./login.js")).logoutCommand(),
  },
  {
    name: "board",
    summary: "run an emulated board; look after a board's keys and lock",
    load: async () => (await import("./board.js")).boardCommand(),
  },
  {
    name: "gateway",
    summary: "serve this machine's boards to others, over gRPC with TLS",
    load: async () => (await import("./gateway.js")).gatewayCommand(),
  },
  {
    name: "audit",
    summary: "check, show or rotate a gateway's audit log",
    load: async () => (await import("./audit.js")).auditCommand(),
  },
];
