/** Names of points: `update/l5@17t2+4b` is the second kind of tear at the 17th operation of scenario "update", and then a
 * cut before the fourth operation of the recovery. */
import type { GeometryName } from "@edgeplug/sim";

import { SHAPES, type Shape } from "./tears.js";

export interface CutAt {
  /** From 1. */
  readonly operation: number;
  readonly shape: Shape;
}

export interface Point {
  readonly scenario: string;
  readonly geometry: GeometryName;
  readonly first: CutAt;
  readonly second?: CutAt;
}

export function pointId({ scenario, geometry, first, second }: Point): string {
  const cut = ({ operation, shape }: CutAt) => `${operation}${shape}`;
  return `${scenario}/${geometry}@${cut(first)}${second ? `+${cut(second)}` : ""}`;
}

export function parsePoint(id: string): Point | undefined {
  const parts = /^([a-z0-9-]+)\/(l5|nor)@(\d+)(b|a|t\d+)(?:\+(\d+)(b|a|t\d+))?$/.exec(id);
  if (parts === null) return undefined;
  const [, scenario = "", geometry, operation, shape, operation2, shape2] = parts;
  const cut = (at: string | undefined, how: string | undefined) => ({
    operation: Number(at),
    shape: how as Shape,
  });
  const first = cut(operation, shape);
  const known = (one: CutAt) => one.operation > 0 && SHAPES.some(({ name }) => name === one.shape);
  const second = operation2 === undefined ? undefined : cut(operation2, shape2);
  if (!known(first) || (second && !known(second))) return undefined;
  return { scenario, geometry: geometry as GeometryName, first, ...(second && { second }) };
}

/** A well-mixed 32-bit number for a text (FNV-1a, then Murmur's last step). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
