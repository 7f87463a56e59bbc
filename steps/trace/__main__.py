"""Trace: `python -m steps.trace --evidence-uri s3://<evidence>/executions --model NAME@3`.

It reads only: the evidence bucket, and the registry for the aliases of now. It writes its index,
and the page of `--html`. `python -m pipeline.trace` composes the settings from `conf/`.
"""

import json
import sys

from steps.governance.commands import ending
from steps.governance.pages import written
from steps.trace.arguments import Arguments, parse


def main(argv: list[str]) -> int:
    """Answer, and return the exit code: 1 if some evidence could not be read."""
    return ending.ended("trace", lambda: _answered(parse(argv)))


def _answered(arguments: Arguments) -> int:
    from steps.trace.run import Tracer, projection

    if arguments.format:
        sys.stdout.buffer.write(projection(arguments))
        return 0
    answer = Tracer(arguments).answer()
    if arguments.json:
        from steps.trace.answer import document

        found = document(answer)
        if arguments.drawing:
            from steps.trace.page.drawing import draw

            found |= {"drawing": str(draw(answer))}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    elif arguments.html:
        from steps.trace.page.html import render

        written.write(arguments.html, render(answer))
        sys.stderr.write(f"wrote {arguments.html}\n")
    else:
        from steps.trace.text import show

        show(answer, sys.stdout)
    return 1 if answer.unreadable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
