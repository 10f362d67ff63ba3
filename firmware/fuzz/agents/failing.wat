;; Runs three scans well, then aborts with a message.
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory 1)
  (global $left (mut i32) (i32.const 3))
  (data (i32.const 60) "\08\00\00\00b\00a\00d\00!\00")
  (func (export "scan")
    (if (i32.eqz (global.get $left))
      (then (call $abort (i32.const 64) (i32.const 64) (i32.const 7) (i32.const 9))))
    (global.set $left (i32.sub (global.get $left) (i32.const 1)))))
