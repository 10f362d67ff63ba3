import { input, output } from "@edgeplug/sdk";

const LOW: f32 = 20;
const HIGH: f32 = 80;

let pump: f32 = 0;

export function scan(): void {
  const level = input(0);
  if (level < LOW) pump = 1;
  else if (level > HIGH) pump = 0;
  output(0, pump);
}
