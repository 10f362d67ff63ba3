/** Where flash lies, what must not need it, and what calls through pointers may reach. */
export interface SramRules {
  readonly entries: string[];
  readonly exempt: Readonly<Record<string, string>>;
  readonly indirect: Readonly<Record<string, string[]>>;
  readonly flash: { readonly from: number; readonly end: number };
}
export function checkSram(
  image: string,
  rules: SramRules,
): { findings: string[]; functions: number; bytes: number };
export function stm32l552Rules(): SramRules;
