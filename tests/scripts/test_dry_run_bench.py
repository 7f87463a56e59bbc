"""The bench of dry runs imports exactly the SDK's names that the pipeline uses."""

import ast
from pathlib import Path

from scripts import dry_run_bench

SDK = Path(__file__).resolve().parents[2] / "pipeline" / "graph" / "sdk.py"


def test_the_bare_import_has_every_name_of_the_sdk_that_the_pipeline_uses() -> None:
    nodes = ast.walk(ast.parse(dry_run_bench.bare_import()))
    imported = {
        alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    [exported] = [
        ast.literal_eval(node.value)
        for node in ast.parse(SDK.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert imported == set(exported) - {"compiling", "offline_session"}
    assert len(imported) > 20
