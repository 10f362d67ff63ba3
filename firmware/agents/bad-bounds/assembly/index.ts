// Works for 200 scans, then follows a wild pointer.
import { input, output } from "@edgeplug/sdk";

const GOOD_SCANS: i32 = 200;
let scans: i32 = 0;
let cell: usize = memory.data(8);

export function scan(): void {
  if (++scans > GOOD_SCANS) cell = 0x7fff0000;
  store<f32>(cell, input(0));
  output(0, load<f32>(cell));
}
