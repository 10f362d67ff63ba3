"""A serial port that appears as a symbolic link, as USB adapters do; its other end is a board's unix socket.

    serial-relay.py LINK SOCKET [MODE]

Prints the pseudo-terminal's own path once the link is there. Ends on SIGTERM or when its standard input ends: the port vanishes,
as a pulled cable makes it. MODE is the device's permissions in octal.
"""
import os
import select
import socket
import sys
import tty

link, path = sys.argv[1], sys.argv[2]
board = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
board.connect(path)
master, slave = os.openpty()
tty.setraw(slave)
name = os.ttyname(slave)
if len(sys.argv) > 3:
    os.chmod(name, int(sys.argv[3], 8))
os.symlink(name, link + ".new")
os.rename(link + ".new", link)
# Held without reading: the port must not hang up before anybody has opened it.
keeper = os.open(name, os.O_WRONLY | os.O_NOCTTY)
os.close(slave)
print(name, flush=True)
try:
    while True:
        readable, _, _ = select.select([master, board, 0], [], [])
        if 0 in readable and not os.read(0, 4096):
            break
        if master in readable:
            board.sendall(os.read(master, 4096))
        if board in readable:
            data = board.recv(4096)
            if not data:
                break
            os.write(master, data)
finally:
    os.unlink(link)
