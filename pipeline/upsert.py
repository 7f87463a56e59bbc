"""Create or update the SageMaker pipeline that conf/ENV.yaml describes. Never starts an execution.

    python -m pipeline.upsert --env dev             # compile, validate, deploy, read back
    python -m pipeline.upsert --env dev --dry-run   # print the definition; call nothing
    python -m pipeline.upsert --env dev --dry-run --explain   # each value and where it comes from
    python -m pipeline.upsert --env dev --diff      # what would change; exit 3 if anything
    python -m pipeline.upsert --env dev --alias prod   # deploy; then `prod` is this version

Two upserts of the same commit change nothing. What is deployed is described in
`pipeline.deployment.deploy`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline import account, command
from pipeline.command import output
from pipeline.configuration import config, explanation
from pipeline.configuration.config import Config
from pipeline.deployment import aliases, compile_cache, difference
from pipeline.deployment.deploy import Deployed, deploy, refuse_placeholders
from pipeline.errors import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.explain and not arguments.dry_run:
        raise UsageError("expected --explain together with --dry-run, got it alone")
    if arguments.alias and (arguments.dry_run or arguments.diff):
        raise UsageError("expected --alias without --dry-run and --diff, which deploy nothing")
    alias = aliases.checked(arguments.alias) if arguments.alias else ""
    environment = command.environment(arguments.env)
    if arguments.explain:
        return _explain(environment, as_json=arguments.json)
    configured = config.load(environment)
    if arguments.dry_run:
        output(compile_cache.compiled(configured, _compiled))
        return 0
    client = account.sagemaker(configured)
    if arguments.diff:
        return _show_difference(configured, client, as_json=arguments.json)
    refuse_placeholders(configured)
    definition = _compiled(configured)
    deployed = deploy(configured, client, definition)
    moved = None
    if alias:
        moved = aliases.move(
            configured, client, arn=deployed.arn, alias=alias, definition=definition
        )
    if arguments.json:
        document = asdict(deployed) | ({"alias": asdict(moved)} if moved else {})
        output(json.dumps(document, indent=2))
    else:
        output(_text(deployed))
    if moved and not arguments.json:
        output(f"{moved.alias:<18} version {moved.version}, before {moved.before or 'none'}")
    return 0


def _compiled(configured: Config) -> str:
    # Imported here because the SDK takes 5 s, which `--help` and a faulty file need not wait for.
    command.begin("compiling the definition")
    from pipeline import definition
    from pipeline.deployment import validation

    compiled = definition.compiled(configured)
    validation.check(compiled)
    return compiled


def _explain(environment: str, *, as_json: bool) -> int:
    rows = explanation.rows(environment)
    output(json.dumps([row._asdict() for row in rows]) if as_json else explanation.table(rows))
    return 0


def _show_difference(configured: Config, client: Any, *, as_json: bool) -> int:
    changed = difference.from_deployed(configured, client, _compiled(configured))
    name = configured.pipeline.name
    if as_json:
        result = {"pipeline": name, "differs": bool(changed), "parts": changed}
        output(json.dumps(result, indent=2))
    elif changed:
        text = "\n\n".join(changed.values())
        output(difference.coloured(text) if command.coloured(sys.stdout) else text)
    else:
        output(f"{name} is deployed as compiled")
    return 3 if changed else 0


def _text(deployed: Deployed) -> str:
    return "\n".join(
        [
            f"{deployed.action:<18} {deployed.arn}",
            f"definition sha256  {deployed.definition_sha256}",
            f"config sha256      {deployed.config_sha256}",
            f"git commit         {deployed.commit}",
            *(f"tag removed        {key}" for key in deployed.tags_removed),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    steps = "jq -r '.. | objects | select(.Arguments) | .Name'"  # those in branches too
    example = f"example:    python -m pipeline.upsert --env dev --dry-run | {steps}"
    description = (__doc__ or "").split("\n\n")[0]
    parser = command.parser("pipeline.upsert", description, f"{command.EXIT_CODES}\n{example}")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--dry-run",
        action="store_true",
        help="compile, validate and print the definition; call nothing",
    )
    action.add_argument(
        "--diff", action="store_true", help="compare with what is deployed; exit 3 if it differs"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="with --dry-run: print each value of the configuration and where it comes from",
    )
    parser.add_argument(
        "--alias", metavar="NAME", help="after it, let this alias be the deployed version"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
