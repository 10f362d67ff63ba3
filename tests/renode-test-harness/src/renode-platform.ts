import { fileURLToPath } from "node:url";

/** Names that the harness uses in Renode's monitor. A board that lacks one lacks what it is for; see supports(). */
export interface RenodePlatform {
  /** The platform description, a .repl. Renode's own are named "@platforms/…". */
  readonly description: string;
  /** C# files that it needs, compiled before. */
  readonly models?: readonly string[];
  /** The main line, e.g. "sysbus.usart1". */
  readonly serial: string;
  /** What only writes: the observer's bytes. */
  readonly observer?: string;
  /** What only writes: lines of text, "reset CAUSE", "cut NUMBER MOMENT", "violation TEXT". */
  readonly events?: string;
  /** Flash controller with LoadImage, SaveImage, CutAt, Operations, PowerOff and PowerOn. */
  readonly flash?: string;
  /** Told that power came back, by PowerOn. */
  readonly resets?: string;
  /** SetVoltage CHANNEL VOLTS. */
  readonly inputs?: string;
  /** Duty CHANNEL, in percent. */
  readonly outputs?: string;
  /** RAM, that loses what it holds when the power goes. */
  readonly memories?: readonly string[];
  /** Default "sysbus.cpu". */
  readonly core?: string;
  /** Where the core looks for its vector table after each reset. Default: as the ELF and the CPU model have it. */
  readonly vectorTable?: number;
  /** Bytes of the flash image, and its first address: what of the ELF lies there belongs to it. */
  readonly flashSize?: number;
  readonly flashBase?: number;
}

/** Where the models are that come with this package. */
function shipped(name: string): string {
  return fileURLToPath(new URL(`../renode/${name}`, import.meta.url));
}

/** STM32L552 with flash that refuses what silicon refuses, watchdog, reset causes, analogue inputs and PWM outputs. */
export const STM32L552: RenodePlatform = {
  description: shipped("stm32l552.repl"),
  serial: "sysbus.lpuart1",
  observer: "sysbus.trace",
  events: "sysbus.events",
  flash: "sysbus.flashController",
  resets: "sysbus.rcc",
  inputs: "sysbus.adc",
  outputs: "sysbus.pwm",
  memories: ["sysbus.sram"],
  vectorTable: 0x0800_7000,
  flashSize: 0x4_0000,
  flashBase: 0x0800_0000,
};
