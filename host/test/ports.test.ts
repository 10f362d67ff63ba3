import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Stats } from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { notFoundError, permissionError, portHolders } from "../src/transports/port-diagnosis.js";

describe("a port that can't be opened", () => {
  let folder = "";
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "edgeplug-ports-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const stats = (mode: number, gid: number): Stats => Object.assign(statSync("/dev/null"), { mode, gid });
  const gidOf = (group: string): number =>
    Number(new RegExp(`^${group}:[^:]*:(\\d+)`, "m").exec(readFileSync("/etc/group", "utf8"))?.[1]);

  it("because its group may and the user isn't in it, names the command that adds the user", () => {
    const error = permissionError("/dev/ttyUSB0", stats(0o20660, gidOf("dialout")));
    expect(error).toMatchObject({ code: "PORT_PERMISSION", exit: 72 });
    expect(error.action).toBe("Run `sudo usermod -aG dialout $USER`, then log out and in again.");
  });

  it("because nobody but its owner may, names the command that lets others", () => {
    const error = permissionError("/dev/ttyUSB0", stats(0o20600, gidOf("dialout")));
    expect(error.action).toBe("Run `sudo chmod a+rw /dev/ttyUSB0`.");
    expect(permissionError("/dev/ttyS0", stats(0o20660, 0)).action).toContain("sudo chmod");
  });

  it("because it is not there, lists those that are", () => {
    expect(notFoundError("/dev/ttyUSB7", ["/dev/ttyACM0", "/dev/ttyUSB0"]).message).toBe(
      "/dev/ttyUSB7 does not exist; the ports are: /dev/ttyACM0, /dev/ttyUSB0.",
    );
  });

  it("is held by whoever reads it, and not by who only keeps it open, nor by ourselves", async () => {
    const path = join(folder, "port");
    writeFileSync(path, "");
    const own = openSync(path, "r");
    const keeper = spawn("sh", ["-c", `exec 3>>'${path}'; echo; exec sleep 30`]);
    const reader = spawn("sh", ["-c", `exec 3<'${path}'; echo; exec sleep 30`]);
    await Promise.all([once(keeper.stdout, "data"), once(reader.stdout, "data")]);
    const holders = portHolders(path);
    keeper.kill();
    reader.kill();
    closeSync(own);
    expect(holders.map(({ pid }) => pid)).toEqual([reader.pid]);
  });
});
