// Works for 200 scans, then gives up with a message: a trap in its own words.
import { input, output } from "@edgeplug/sdk";

const GOOD_SCANS: i32 = 200;
let scans: i32 = 0;

export function scan(): void {
  if (++scans > GOOD_SCANS) throw new Error("sensor model diverged");
  output(0, input(0));
}
