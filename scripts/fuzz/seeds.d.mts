/** Into `folder`, by default the corpus that grows with every run. */
export function writeSeeds(name: string, folder?: string): number;
