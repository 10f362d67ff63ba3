;; Seeds for the targets `module` and `interpreter`: small modules with each part of the format in them, parted by lines
;; of dashes; scripts/fuzz/seeds.mjs compiles them.

;; ---
(module)
;; ---
(module (type (func)) (type (func (param i32 i64 f32 f64) (result f64))) (type (func (result i32 i64))))
;; ---
(module
  (import "edgeplug" "input" (func (param i32) (result f32)))
  (import "edgeplug" "output" (func (param i32 f32)))
  (import "edgeplug" "now_us" (func (result i64)))
  (import "edgeplug" "log" (func (param i32 i32)))
  (import "env" "abort" (func (param i32 i32 i32 i32)))
  (export "abort" (func 4)))
;; ---
(module (import "m" "t" (table 1 2 funcref)) (import "m" "m" (memory 1 2)) (import "m" "g" (global i32))
  (global (mut i32) (global.get 0)) (data (global.get 0) "x"))
;; ---
(module (func $f) (func $start (call $f)) (start $start))
;; ---
(module (memory 1 3) (data (i32.const 0) "abc") (data "passive") (export "memory" (memory 0))
  (func (export "f") (memory.init 1 (i32.const 8) (i32.const 0) (i32.const 7)) (data.drop 1)
    (memory.copy (i32.const 4) (i32.const 0) (i32.const 3)) (memory.fill (i32.const 9) (i32.const 7) (i32.const 5))
    (drop (memory.grow (memory.size)))))
;; ---
(module (table 5 9 funcref) (elem (i32.const 1) $f $g) (elem func $g $f) (elem declare func $f)
  (type $t (func (param i32) (result i32)))
  (func $f (type $t) (local.get 0)) (func $g (type $t) (i32.const 3))
  (func (export "f") (result i32) (table.init 1 (i32.const 0) (i32.const 0) (i32.const 2)) (elem.drop 1)
    (table.copy (i32.const 3) (i32.const 0) (i32.const 2)) (call_indirect (type $t) (i32.const 5) (i32.const 4))))
;; ---
(module (global (mut i32) (i32.const 1)) (global (mut i64) (i64.const -1)) (global (mut f32) (f32.const nan))
  (global f64 (f64.const 0x1p-1074)) (export "g" (global 0))
  (func (export "f") (global.set 0 (i32.wrap_i64 (global.get 1))) (global.set 2 (f32.demote_f64 (global.get 3)))))
;; ---
(module (func (export "f") (param i32) (result i32) (local i32 i64 i64 f32)
  (block $out (result i32)
    (loop $again
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if $out (i32.const 7) (i32.gt_u (local.get 1) (i32.const 20)))
      (drop)
      (br $again))
    (unreachable))))
;; ---
(module (func (export "f") (param i32) (result i32)
  (block (block (block (br_table 0 1 2 1 (local.get 0))) (return (i32.const 1))) (return (i32.const 2)))
  (if (result i32) (local.get 0) (then (i32.const 3)) (else (select (i32.const 4) (i32.const 5) (i32.const 0))))))
;; ---
(module (func $two (result i32 i64) (i32.const 1) (i64.const 2))
  (func (export "f") (result i64)
    (call $two) (block (param i32 i64) (result i64) (br 0))
    (loop (param i64) (result i64) (i64.const 1) (i64.add))))
;; ---
(module (func $fib (export "f") (param i32) (result i32)
  (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))))
;; ---
(module (memory 1) (func (export "f")
  (i64.store offset=8 (i32.const 0) (i64.load32_s align=1 (i32.const 1)))
  (f64.store (i32.const 65528) (f64.promote_f32 (f32.load (i32.const 4))))
  (i32.store8 (i32.const -1) (i32.div_s (i32.const 1) (i32.const 0)))))
;; ---
(module (func (export "f") (result f64)
  (f64.add (f64.sqrt (f64.nearest (f64.convert_i64_u (i64.trunc_sat_f64_s (f64.const 1e300)))))
    (f64.copysign (f64.const nan) (f64.reinterpret_i64 (i64.extend32_s (i64.const 0x80000000)))))))
