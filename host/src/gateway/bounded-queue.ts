/** What waits for a reader: never more than so many, of one too slow the oldest go, and it is told how many. */

export type Queued<T> = { item: T } | { missed: number };

export class BoundedQueue<T> {
  private readonly items: T[] = [];
  private missed = 0;
  private ended = false;
  private wake: () => void = () => undefined;

  constructor(readonly capacity: number) {}

  push(item: T): void {
    if (this.ended) return;
    this.items.push(item);
    if (this.items.length > this.capacity) {
      this.items.shift();
      this.missed++;
    }
    this.wake();
  }

  /** What is in it is still read. */
  end(): void {
    this.ended = true;
    this.wake();
  }

  get length(): number {
    return this.items.length;
  }

  /** For one reader. What was dropped is told before what came after it. */
  async *read(signal?: AbortSignal): AsyncGenerator<Queued<T>, void, void> {
    const poke = (): void => this.wake();
    signal?.addEventListener("abort", poke);
    try {
      while (signal?.aborted !== true) {
        if (this.missed > 0) {
          const { missed } = this;
          this.missed = 0;
          yield { missed };
          continue;
        }
        const item = this.items.shift();
        if (item !== undefined) yield { item };
        else if (this.ended) return;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      signal?.removeEventListener("abort", poke);
      this.ended = true;
      this.items.length = 0;
    }
  }
}
