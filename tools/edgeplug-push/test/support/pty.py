"""A pseudo-terminal whose other end is no board.

    pty.py silent | garbage | hangup

Prints the path of the port, then `first NANOSECONDS` (CLOCK_MONOTONIC) when the first byte comes in. `garbage`
answers with random bytes for ever, `hangup` closes its end at the first byte.
"""
import os
import select
import sys
import time
import tty

mode = sys.argv[1]
master, slave = os.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
# Held without reading: the port must not hang up before anybody has opened it.
keeper = os.open(os.ttyname(slave), os.O_WRONLY | os.O_NOCTTY)
os.close(slave)
first = True
while True:
    readable, _, _ = select.select([master], [], [], 0.01)
    if readable:
        data = os.read(master, 4096)
        if first and data:
            print("first", time.clock_gettime_ns(time.CLOCK_MONOTONIC), flush=True)
            first = False
            if mode == "hangup":
                sys.exit(0)
    if mode == "garbage" and not first:
        os.write(master, os.urandom(128))
