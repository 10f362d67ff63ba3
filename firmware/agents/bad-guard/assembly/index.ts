// Works for 200 scans, then drives its output far out of range: the guard holds it back, and counts.
import { input, output } from "@edgeplug/sdk";

const GOOD_SCANS: i32 = 200;
let scans: i32 = 0;

export function scan(): void {
  output(0, ++scans > GOOD_SCANS ? 1e6 : input(0));
}
