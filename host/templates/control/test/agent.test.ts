import { simulate } from "@edgeplug/testing";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);

test("a step is followed with a time constant of 0.1 s", async () => {
  const agent = await simulate(folder, { inputs: { level: 50 } });
  const smooth = agent.run(500).output("smooth");
  expect(smooth[99]).toBeCloseTo(50 * (1 - Math.exp(-1)), 0);
  expect(smooth[499]).toBeCloseTo(50, 0);
});

test("the alarm comes above 80 %, goes below 75 %, and says so once each", async () => {
  const ramp = (scan: number): number => (scan <= 1000 ? scan / 10 : 200 - scan / 10);
  const agent = await simulate(folder, { inputs: { level: ramp } });
  const run = agent.run(2000);
  for (const { outputs } of run.scans) {
    const [smooth = 0, alarm] = outputs;
    if (smooth > 80.001) expect(alarm).toBe(1);
    if (smooth < 75) expect(alarm).toBe(0);
  }
  expect(run.log).toEqual(["level is high", "level is normal"]);
});

test("a new release takes over in the middle of an alarm", async () => {
  const old = await simulate(folder, { inputs: { level: 100 } });
  old.run(1000);
  const next = await simulate(folder, { inputs: { level: 78 } });
  expect(next.takeOver(old)).toBeGreaterThan(0);
  expect(next.scan().outputs[1]).toBe(1);
  expect(next.history.log).toEqual([]);
});

test("a scan takes less than a tenth of the fuel that the smallest board has", async () => {
  const agent = await simulate(folder, { inputs: { level: [100, -100, 0] } });
  agent.run(100);
  expect(agent.worstFuel).toBeLessThan(500);
});
