"""Runs one command in a process group that cannot outlive the server.

    python -I -S keeper.py <socket> <command> [argument …]

The server holds the other end of the socket. However the server ends (also by SIGKILL or a crash),
the kernel closes that end; the keeper reads end-of-file and kills the whole group, grandchildren
included. `PR_SET_PDEATHSIG` does not suffice: it exists on Linux only, is bound to the thread that
forked, and does not reach grandchildren. When the command ends, the keeper reports its return code
and kills the rest of the group. It uses the standard library only, without `site`, and starts in
about ten milliseconds.
"""

import os
import signal
import socket
import subprocess
import sys
import threading


def _watch(server: socket.socket) -> None:
    while server.recv(1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Start the command, watch the server, report the return code."""
    server = socket.socket(fileno=int(sys.argv[1]))
    server.set_inheritable(False)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The command does not inherit a handler (as it would SIG_IGN), so it gets the signal.
        signal.signal(number, lambda *_: None)
    try:
        command = subprocess.Popen(sys.argv[2:])
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[2]}: {error.strerror}\n")
        server.sendall(b"127\n")
        return
    threading.Thread(target=_watch, args=(server,), daemon=True).start()
    code = command.wait()
    server.sendall(f"{code}\n".encode())
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
