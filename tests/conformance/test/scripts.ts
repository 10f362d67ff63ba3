// Small folders in the shape of wast2json's output, with every kind of command.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { assemble } from "../module.js";

export interface Written {
  readonly type: string;
  readonly line: number;
}

/** A folder of scripts that is deleted with it. */
export class ScriptFolder {
  readonly path = mkdtempSync(join(tmpdir(), "edgeplug-spec-"));

  /** Commands get their lines by their order, from 1 on. */
  add(name: string, commands: readonly object[]): void {
    const numbered = commands.map((command, at) => ({ line: at + 1, ...command }));
    writeFileSync(
      join(this.path, `${name}.json`),
      JSON.stringify({ source_filename: `${name}.wast`, commands: numbered }),
    );
  }

  /** A file of this name; gives the name. */
  file(name: string, contents: Uint8Array | string): string {
    mkdirSync(this.path, { recursive: true });
    writeFileSync(join(this.path, name), contents);
    return name;
  }

  /** A module in text form, as a file with bytes. */
  module(name: string, text: string): string {
    return this.file(name, assemble(text, { validate: false }));
  }

  delete(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export function value(type: string, bits: string | number | bigint): { type: string; value: string } {
  return { type, value: String(bits) };
}

export function invoke(field: string, args: readonly object[] = [], module?: string): object {
  return { type: "invoke", field, args, ...(module === undefined ? {} : { module }) };
}

export const MAIN_TEXT = `(module $main
  (import "spectest" "print_i32" (func $print (param i32)))
  (memory 1)
  (global (export "g") i32 (i32.const 42))
  (global $n (mut i32) (i32.const 0))
  (func (export "nothing"))
  (func (export "print") (call $print (i32.const 1)))
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "two") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "trap") (unreachable))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func $deep (export "deep") (call $deep)))`;
