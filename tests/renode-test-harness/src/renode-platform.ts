import { fileURLToPath } from "node:url";

/** A converter or a timer with the number that each of the board's channels has on it. */
export interface RenodeChannels {
  readonly name: string;
  readonly channels: readonly number[];
}

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
  /** Flash controller with LoadImage, SaveImage, CutAt, CancelCut, Operations, PowerOff and PowerOn, which does all that
   *  comes with power. Without it the flash is plain memory. */
  readonly flash?: string;
  readonly flashBase?: number;
  /** Bytes of the flash image. Without it there is none. */
  readonly flashSize?: number;
  /** What has the reset button, by PinReset. Default: the machine is reset. */
  readonly button?: string;
  /** With SetVoltage CHANNEL VOLTS. */
  readonly inputs?: RenodeChannels;
  /** With Duty CHANNEL, in percent. */
  readonly outputs?: RenodeChannels;
  /** RAM that loses what it holds with the power, where no flash controller sees to that. */
  readonly memories?: readonly string[];
  /** Default "sysbus.cpu". */
  readonly core?: string;
  /** Where the core finds its vector table after a reset. Default: Renode guesses, by the ELF. */
  readonly vectorTable?: number;
  /** Address of the chip's unique id, 12 bytes. */
  readonly identity?: number;
  /** What the main line carries. Default 115,200 / 10. */
  readonly bytesPerSecond?: number;
}

/** Where the models are that come with this package. */
function shipped(name: string): string {
  return fileURLToPath(new URL(`../renode/${name}`, import.meta.url));
}

/** STM32L552 with flash that refuses what silicon refuses, watchdog, reset causes, analogue inputs and PWM outputs. */
export const STM32L552: RenodePlatform = {
  description: shipped("stm32l552.repl"),
  models: [
    "BoardEvents",
    "FlashCells",
    "ITM_Trace",
    "STM32L5_ADC",
    "STM32L5_FlashArea",
    "STM32L5_FlashController",
    "STM32L5_IWDG",
    "STM32L5_PWM",
    "STM32L5_PWR",
    "STM32L5_RCC",
    "SeededRandom",
  ].map((name) => shipped(`models/${name}.cs`)),
  serial: "sysbus.lpuart1",
  observer: "sysbus.trace",
  events: "sysbus.events",
  flash: "sysbus.flashController",
  flashBase: 0x0800_0000,
  flashSize: 0x4_0000,
  button: "sysbus.rcc",
  inputs: { name: "sysbus.adc", channels: [5, 6, 7, 8] }, // PA0 to PA3
  outputs: { name: "sysbus.pwm", channels: [1, 2, 3, 4] },
  vectorTable: 0x0800_7000,
  identity: 0x0bfa_0590,
};
