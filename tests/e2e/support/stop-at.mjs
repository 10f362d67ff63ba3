/**
 * Loaded into a tool before it starts: a SIGINT to itself as soon as it has printed a line that STOP_AT finds. A test that
 * only watches from outside might be too late on a busy machine.
 */
import process from "node:process";

const pattern = new RegExp(process.env["STOP_AT"] ?? "");
const write = process.stdout.write.bind(process.stdout);
let stopped = false;

process.stdout.write = (text, ...rest) => {
  const more = write(text, ...rest);
  if (
    !stopped &&
    String(text)
      .split("\n")
      .some((line) => pattern.test(line))
  ) {
    stopped = true;
    process.kill(process.pid, "SIGINT");
  }
  return more;
};
