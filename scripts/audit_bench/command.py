"""One audit as a whole command, imports included: its seconds, its memory and its lines.

measured = audited(world, "--all", "--quick")      # Measured(seconds, cpu, rss_mib, lines)
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.steps.audit.support.world import World
from tests.steps.register.support.register_environment import plain_variables

_ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = (
    "evidence_uri signing_public_key approval_public_key pipeline_name model_name "
    "databricks_host databricks_secret_id region retention_days object_lock_days"
)


@dataclass(frozen=True)
class Measured:
    """Wall and CPU seconds, the largest resident memory in MiB, and the number of lines."""

    seconds: float
    cpu: float
    rss_mib: int
    lines: int


def audited(world: World, *words: str, **variables: str) -> Measured:
    """Run `python -m steps.audit` on a world as the auditor and measure it.

    Args:
        world: the history.
        words: what is asked, such as `--all`.
        variables: environment variables besides the world's own.

    Raises:
        RuntimeError: the audit was not clean; the text has its lines that are not.
    """
    settings = world.settings()
    options = [
        f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in _SETTINGS.split()
    ]
    command = [sys.executable, "-m", "steps.audit", *options, *words, "--json"]
    given = world.environment.variables() | world.auditor | variables
    began = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(command, cwd=_ROOT, env=plain_variables(**given), stdout=printed)
        _, status, used = os.wait4(process.pid, 0)
        printed.seek(0)
        output = printed.read()
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = json.loads(output)["findings"] if output else []
    if process.returncode:
        wrong = [line for line in lines if line["outcome"] not in ("ok", "note")]
        raise RuntimeError(f"the audit ended with {process.returncode}: {wrong[:5]}")
    cpu = used.ru_utime + used.ru_stime
    return Measured(seconds, cpu, used.ru_maxrss // 1024, len(lines))
