/** Where the erases went. */
import type { FlashLayout } from "@edgeplug/test-support/flash";
import { FlashImage } from "@edgeplug/test-support/flash";

export type Wear = Readonly<Record<string, { readonly erases: number; readonly mostWornPage: number }>>;

/** `erases`: the offset in flash of each. */
export function erasesByArea(erases: readonly number[], layout: FlashLayout): Wear {
  const image = new FlashImage(new Uint8Array(), layout);
  const pages = new Map<string, Map<number, number>>(
    ["slot A", "slot B", "journal"].map((area) => [area, new Map()]),
  );
  for (const offset of erases) {
    const area = image.regionOf(offset);
    const counts = pages.get(area) ?? new Map<number, number>();
    pages.set(area, counts.set(offset, (counts.get(offset) ?? 0) + 1));
  }
  return Object.fromEntries(
    [...pages].map(([area, counts]) => [
      area,
      {
        erases: [...counts.values()].reduce((sum, count) => sum + count, 0),
        mostWornPage: Math.max(0, ...counts.values()),
      },
    ]),
  );
}
