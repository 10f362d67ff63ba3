;; A request agent: answers with the bytes reversed; traps on a request that begins with 0xFF, never ends on 0xFE, and
;; claims too long an answer on 0xFD.
(module
  (memory 1)
  (func (export "io_buffer") (result i32) (i32.const 256))
  (func (export "handle") (param $size i32) (result i32)
    (local $at i32) (local $first i32)
    (local.set $first (i32.load8_u (i32.const 256)))
    (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $first) (i32.const 0xFF)) (then (unreachable)))
    (if (i32.eq (local.get $first) (i32.const 0xFE)) (then (loop $for_ever (br $for_ever))))
    (if (i32.eq (local.get $first) (i32.const 0xFD)) (then (return (i32.const 400))))
    (loop $each
      (i32.store8 (i32.sub (i32.const 1023) (local.get $at))
        (i32.load8_u offset=256 (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $at) (local.get $size))))
    (memory.copy (i32.const 256) (i32.sub (i32.const 1024) (local.get $size)) (local.get $size))
    (local.get $size)))
