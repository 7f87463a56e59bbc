"""`python -m pipeline.local status`: servers, what waits for a worker, and the last notifications.

exit_code = shown(state, arguments)      # arguments.json, arguments.follow
"""

import argparse
import json
from dataclasses import asdict
from typing import Any

from pipeline.command import note, output
from pipeline.local.host.state import Record, State


def shown(state: State, arguments: argparse.Namespace) -> int:
    """Print the state of the environment; return 0 if it runs, else 1."""
    record = state.load()
    return _document(state, record) if arguments.json else _lines(state, record, arguments.follow)


def _document(state: State, record: Record) -> int:
    waiting: list[str] = []
    notices: list[dict[str, Any]] = []
    if record.running:
        waiting, bulletin = _asked(state)
        notices = [asdict(each) for each in bulletin.last()]
    document = {
        "running": record.running,
        "servers": _servers(record),
        "waiting": waiting,
        "notices": notices,
    }
    output(json.dumps(document, indent=2))
    return 0 if record.running else 1


def _lines(state: State, record: Record, follow: bool) -> int:
    servers = _servers(record)
    if not servers:
        output("down")
    for server in servers:
        word = "running" if server["running"] else "ended"
        output(f"{server['name']:<10} {word:<8} pid {server['pid']:<8} {server['url']}".rstrip())
    if not record.running:
        if any(server["running"] for server in servers):
            note(f"not whole: `up` has not ended, or was killed, or a server has; {_again(state)}")
        return 1
    waiting, bulletin = _asked(state)  # asks AWS, after the first lines
    for line in (*waiting, *(notice.lines for notice in bulletin.last())):
        output(line)
    if follow:
        bulletin.follow()
    return 0


def _again(state: State) -> str:
    return f"wait for it, or start it again: {state.typed('up')}"


def _servers(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "name": process.name,
            "pid": process.pid,
            "running": process.handle() is not None,
            "url": f"http://127.0.0.1:{record.ports[process.name]}"
            if process.name in record.ports
            else "",
        }
        for process in record.processes
    ]


def _asked(state: State) -> tuple[list[str], Any]:
    from pipeline.local import started, untaken
    from pipeline.local.notifications.bulletin import Bulletin

    running = started.found(state)
    return untaken.lines(running), Bulletin(running)
