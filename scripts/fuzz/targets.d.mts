export interface FuzzTarget {
  readonly name: string;
  readonly maxLength: number;
  readonly runs: number;
  readonly edges: number;
  readonly dictionary?: string;
}
export interface FuzzOutcome {
  readonly name: string;
  readonly executions: number;
  readonly seconds: number;
  readonly corpusFiles: number;
  readonly coveredEdges: number;
  readonly findings: readonly { readonly file: string; readonly repeat: string; readonly what: string }[];
}
export const TARGETS: readonly FuzzTarget[];
export function fuzzAll(
  targets: readonly FuzzTarget[],
  options: {
    readonly seed: number;
    readonly seconds?: number;
    readonly runs?: number;
    readonly jobs?: number;
    readonly fresh?: (name: string, folder: string) => unknown;
    readonly onProgress?: (name: string, state: { executions: number; edges: number }) => void;
  },
): Promise<FuzzOutcome[]>;
export function stopAll(): boolean;
