"""Stands for `python` where a server of warm.py runs: `warm_client.py SOCKET`, then `-m MODULE`, `-c CODE` or a file.

It passes signals on, and ends as the command ended. It starts in a few milliseconds, and imports little.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Have the command run, and wait for it."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        socket.send_fds(server, [b"."], [0, 1, 2])
        request = {"arguments": sys.argv[2:], "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
        # Of the command's process, once it is known; until then signals wait.
        known: list[int] = []
        waiting: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: os.kill(known[0], number) if known else waiting.append(number))
        with server.makefile("rw", encoding="utf-8") as told:
            told.write(json.dumps(request) + "\n")
            told.flush()
            known.append(int(told.readline()))
            for number in waiting:
                os.kill(known[0], number)
            status = int(told.readline())
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
