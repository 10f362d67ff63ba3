// A recording by the flash's own log, and cuts by the flash itself: what `npm run renode` does under Renode, here on a simulated
// board, whose flash keeps the same log.
import {
  Chip,
  differences,
  History,
  LoggedRecorder,
  parseFlashLog,
  parseOptions,
  runCuts,
  SCENARIOS,
  since,
  tooEarly,
  violationsOf,
  type CutsRun,
  type LoggingMachine,
  type Machine,
  type Operation,
} from "@edgeplug/arm-suite";
import { BACKENDS } from "@edgeplug/test-support/backends";
import { startBoard, type TestBoard } from "@edgeplug/test-support/board";
import { beforeAll, describe, expect, it } from "vitest";

const CHIP = new Chip("stm32l552");
const { base } = CHIP;
const hex = (address: number): string => `0x${address.toString(16).padStart(8, "0")}`;

/** The simulated flash's log in the words of the other one. */
function logOf({ sim }: TestBoard): string {
  const lines = sim?.flash.log.map(({ number, kind, address, size, data }) =>
    kind === "erase"
      ? `${number} erase ${hex(address)} ${size || 2048} 0`
      : [...Array(data.length / 8).keys()]
          .map((unit) => Buffer.from(data.subarray(8 * unit, 8 * unit + 8)).toString("hex"))
          .map((bytes, unit) => `${number} program ${hex(address + 8 * unit)} 8 0 ${bytes}`)
          .join("\n"),
  );
  return (lines ?? []).join("\n");
}

const SIM: LoggingMachine = {
  chip: CHIP,
  start: () => startBoard("sim"),
  log: (board) => Promise.resolve(parseFlashLog(logOf(board), CHIP)),
  still: (_, work) => work(), // its time passes only while somebody waits
};

const MACHINE = { ...SIM, recorder: new LoggedRecorder(SIM) } as unknown as Machine;

describe("the flash's log", () => {
  it("is read with addresses from the start of the image, and the bytes of each program", () => {
    const text = `7 erase ${hex(base + 0x800)} 2048 1500\r\n8 program ${hex(base + 0x17008)} 8 1582 0102030405060708\n`;
    const [erase, program] = parseFlashLog(text, CHIP);
    expect(erase).toMatchObject({ number: 7, kind: "erase", address: 0x800, size: 2048, atMs: 1.5 });
    expect(erase?.area).toBe("slot A payload");
    expect(program).toMatchObject({ kind: "program", address: 0x17008, area: "journal half 1" });
    expect([...(program?.data ?? [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it.each([
    "7 erased 0x08000000 2048 1",
    "program 0x08000000 8 1 0102030405060708",
    "7 program 0x08000000 8 1 01",
    "7 program 0x08000000 8 1",
    "No such command",
  ])("that says something else is refused: %s", (line) => {
    expect(() => parseFlashLog(line, CHIP)).toThrow(/flash log/);
  });

  it("that has forgotten operations is refused", () => {
    const log = parseFlashLog(`7 erase ${hex(base)} 2048 9000\n8 erase ${hex(base)} 2048 9500\n`, CHIP);
    expect(since(log, 6, 8).map(({ atMs }) => atMs)).toEqual([1, 1.5]);
    expect(since(log, 8, 0)).toEqual([]);
    expect(() => since(log, 5, 0)).toThrow("operation 6 is missing");
    expect(() => since(log.slice(1), 6, 0)).toThrow("operation 7 is missing");
  });
});

describe("what a cut left", () => {
  const program: Operation = {
    ...{ atMs: 0, kind: "program", address: 8, size: 8, area: "" },
    data: Uint8Array.of(0xf0, 0, 0, 0, 0, 0, 0, 0),
  };
  const history = new History(new Uint8Array(32).fill(0xff), [
    { ...program, address: 0 },
    program,
    { ...program, kind: "erase", address: 0, size: 32, data: new Uint8Array() },
  ]);

  it("is the image after the operations that had ended", () => {
    expect(differences(history.after(3), history, 3, "after")).toEqual([]);
    expect(differences(history.after(2), history, 3, "before")).toEqual([]);
    expect(differences(history.after(2), history, 3, "after")).toHaveLength(1);
    expect(differences(history.after(3), history, 3, "before")).toHaveLength(1);
    expect(differences(history.after(1), history, 2, "before")).toEqual([
      "3 operations began before the cut",
    ]);
  });

  it("in the middle of one has only bits that it had, or would have got", () => {
    const two = new History(history.first, history.operations.slice(0, 2));
    const left = two.after(1);
    left[8] = 0xf5;
    left[15] = 0x80;
    expect(differences(left, two, 2, "torn")).toEqual([]);
    left[8] = 0x70;
    expect(differences(left, two, 2, "torn")).toEqual(["the cut left 0x70 at 0x8"]);
    left[8] = 0xf0;
    left[16] = 0xfe;
    expect(differences(left, two, 2, "torn")).toEqual(["the cut left 0xfe at 0x10"]);
  });
});

if (BACKENDS.includes("sim"))
  describe("an update that is recorded by the flash's log", () => {
    let run: CutsRun;

    beforeAll(async () => {
      const scenario = SCENARIOS[1] as (typeof SCENARIOS)[number];
      run = await runCuts(MACHINE, scenario, { seed: 1, count: 60, kills: 24, lanes: 1 });
    }, 300_000);

    it("is what made the flash's last image of its first", () => {
      const { end, history } = run.recording;
      expect(Buffer.compare(end, history.last)).toBe(0);
      expect(Buffer.compare(history.first, history.last)).not.toBe(0);
    });

    it("marks the attempt before the new agent's outputs are seen", () => {
      expect(tooEarly(run.recording)).toEqual([]);
      expect(tooEarly({ ...run.recording, newSeenAfter: run.recording.newSeenAfter - 1 })).toHaveLength(1);
    });

    it("is cut by the flash itself before, in and after operations, and starts again on what that left", () => {
      expect(run.kills).toHaveLength(24);
      expect(run.kills.flatMap(({ faults }) => faults)).toEqual([]);
      const moments = new Set(run.kills.map(({ id }) => id.split("/")[2]));
      expect(moments).toEqual(new Set(["before", "torn", "after"]));
    });

    it("leaves at every cut an agent that may run", () => {
      expect(violationsOf([run], [])).toEqual([]);
      expect(run.verdicts).toHaveLength(84);
      expect(new Set(run.verdicts.map(({ outcome }) => outcome))).toEqual(new Set(["old", "new"]));
    });
  });

describe("the command line", () => {
  it("takes one of the Arm boards, with fewer cuts where each takes longer", () => {
    expect(parseOptions([])).toMatchObject({ board: "qemu", cuts: 300, kills: 30 });
    expect(parseOptions(["--board", "renode"])).toMatchObject({ board: "renode", cuts: 100, kills: 12 });
    expect(parseOptions(["--board", "renode", "--cuts", "all"]).cuts).toBe(Infinity);
    expect(() => parseOptions(["--board", "sim"])).toThrow('--board wants qemu or renode, not "sim"');
  });
});
