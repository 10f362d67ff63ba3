"""Runs a command on a terminal of its own and answers what it asks.

    terminal.py PROMPT ANSWER [PROMPT ANSWER ...] -- COMMAND [ARGUMENT ...]

Prints what the command printed, and ends with its exit code. An answer is typed, with Return, once its prompt is there;
the answer ^C is a Ctrl-C.
"""
import os
import pty
import sys

split = sys.argv.index("--")
answers = list(zip(sys.argv[1:split:2], sys.argv[2:split:2]))
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[split + 1], sys.argv[split + 1 :])
seen = b""
while True:
    try:
        data = os.read(master, 4096)
    except OSError:  # the other side has been closed
        break
    if not data:
        break
    os.write(1, data)
    seen += data
    if answers and answers[0][0].encode() in seen:
        answer = answers.pop(0)[1]
        os.write(master, b"\x03" if answer == "^C" else answer.encode() + b"\r")
        seen = b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
