"""The auditor: `python -m steps.audit --evidence-uri … [--model NAME@VERSION] [--deep]`.

It prints one line for each check and ends with 0 clean, 1 mismatch, 2 could not check, 3 gone by
declared retention. It only reads. `pipeline.audit` composes its arguments from conf.
"""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from steps.audit.arguments import Arguments, parse
from steps.governance.commands import ending
from steps.governance.errors import UsageError

_COULD_NOT = 2


def main(argv: Sequence[str]) -> int:
    """Audit, print the lines and return the exit code."""
    return ending.ended("audit", lambda: _audit(parse(argv)), refused=_COULD_NOT)


def _audit(arguments: Arguments) -> int:
    gc.disable()  # collections would pass over 400,000 objects of imports, again and again
    from steps.audit.audit import audit
    from steps.audit.context import Context, Services
    from steps.audit.findings import exit_code
    from steps.audit.report.page import html
    from steps.audit.report.text import as_json, as_text
    from steps.audit.services.catalog import Registry
    from steps.audit.services.jobs import Jobs
    from steps.audit.services.packages import Packages
    from steps.audit.services.store import Store
    from steps.governance.unity_catalog.identity import connect

    gc.freeze()
    gc.enable()
    region = arguments.region
    workspace = connect(
        host=arguments.databricks_host, secret_id=arguments.databricks_secret_id, region=region
    )
    group = arguments.model_package_group
    packages = None if group is None else Packages(region, group)
    jobs, registry = Jobs(region), Registry(workspace, region)
    services = Services(Store.connect(region), jobs, registry, packages)
    context = Context(arguments, services)
    findings = audit(context)
    text = as_json(findings) if arguments.json else as_text(findings)
    sys.stdout.write(text)
    sys.stdout.flush()
    if arguments.report is not None:  # last, so that a report that cannot be written hides no line
        _write(arguments.report, html(findings, context))
    return exit_code(findings)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {path}",
            got=str(error.strerror),
            do="name another file",
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
