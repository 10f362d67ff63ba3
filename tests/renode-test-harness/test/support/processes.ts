/** Whether processes and what they leave are gone. */

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until `condition` holds, at most `limit` real ms; whether it does. For what hangs for good, no measure of anything. */
export async function until(condition: () => boolean, limit = 60_000): Promise<boolean> {
  const end = Date.now() + limit;
  while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  return condition();
}
