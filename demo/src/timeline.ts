/** The story of the main job as a person reads it: when, in which scan, what happened. */
import { styleText } from "node:util";

type Tone = "plain" | "good" | "bad" | "quiet";

const COLOURS: Record<Tone, "reset" | "green" | "yellow" | "dim"> = {
  plain: "reset",
  good: "green",
  bad: "yellow",
  quiet: "dim",
};

export class Timeline {
  readonly #start = process.hrtime.bigint();
  readonly #colour = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;

  /** A headline between two acts. */
  act(title: string): void {
    process.stdout.write(`\n${this.#paint(title, "bold")}\n`);
  }

  /** One line. `scan` is the board's own scan number, where the line is about one. */
  say(text: string, options: { scan?: number; tone?: Tone } = {}): void {
    const seconds = Number(process.hrtime.bigint() - this.#start) / 1e9;
    const time = seconds.toFixed(2).padStart(6);
    const scan = options.scan === undefined ? "" : String(Math.round(options.scan));
    const line = `${time} s  ${scan.padStart(7)}  ${text}`;
    process.stdout.write(`${this.#paint(line, COLOURS[options.tone ?? "plain"])}\n`);
  }

  /** The columns' names, once. */
  header(): void {
    process.stdout.write(`${this.#paint("   time     scan  what happened", "dim")}\n`);
  }

  #paint(text: string, colour: "reset" | "green" | "yellow" | "dim" | "bold"): string {
    return this.#colour && colour !== "reset" ? styleText(colour, text) : text;
  }
}
