export function writeSeeds(name: string): number;
