// Averages all samples since its start, anew in each scan: a little more work each time, until the fuel is used up.
import { input, output } from "@edgeplug/sdk";

const HISTORY: i32 = 256;
const history = new StaticArray<f32>(HISTORY);
let count: i32 = 0;

export function scan(): void {
  unchecked((history[count & (HISTORY - 1)] = input(0)));
  count++;
  let sum: f32 = 0;
  for (let i = 0; i < count; i++) sum += unchecked(history[i & (HISTORY - 1)]);
  output(0, sum / <f32>count);
}
