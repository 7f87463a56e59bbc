"""Trace: `python -m steps.trace --evidence-uri s3://<evidence>/executions --model NAME@3`.

It reads only: the evidence bucket, and the registry for the aliases of now. It writes its index,
and the page of `--html`. `python -m pipeline.trace` composes the settings from `conf/`.
"""

import json
import sys

from steps.governance.errors import GovernanceError
from steps.governance.logs import configure
from steps.governance.pages import written
from steps.trace.arguments import Arguments, parse


def main(argv: list[str]) -> int:
    """Answer, and return the exit code: 1 if some evidence could not be read."""
    try:
        configure("trace")
        return _answered(parse(argv))
    except GovernanceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of stdout ended first, as `head` does
        sys.stderr.close()
        return 1


def _answered(arguments: Arguments) -> int:
    from steps.trace.run import Tracer, projection

    if arguments.format:
        sys.stdout.buffer.write(projection(arguments))
        sys.stdout.flush()
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
    sys.stdout.flush()
    return 1 if answer.unreadable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
