/** edgeplug board: one file a command. */
import { Command } from "commander";

import { confirmCommand } from "./board-confirm.js";
import { keysCommand } from "./board-keys.js";
import { lockCommand, unlockCommand } from "./board-lock.js";
import { runCommand } from "./board-run.js";
import { spentCommand } from "./board-spent.js";

export function boardCommand(): Command {
  const board = new Command("board")
    .summary("run an emulated board; look after a board's keys, lock and spent list")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug board run --board sim\n  edgeplug board keys list --device auto",
    );
  for (const command of [
    runCommand(),
    lockCommand(),
    unlockCommand(),
    keysCommand(),
    spentCommand(),
    confirmCommand(),
  ]) {
    board.addCommand(command);
  }
  return board;
}
