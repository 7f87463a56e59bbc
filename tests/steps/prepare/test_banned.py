"""The job avoids functions that Sail silently executes differently from Spark.

Each difference was observed.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "steps" / "prepare"

# Word -> why. Each changes rows or loses them on one engine only.
BANNED = {
    "partitionOverwriteMode": "dynamic overwrite wipes every partition on Sail",
    "overwrite": "replaces what other executions wrote",
    "replaceWhere": "Sail does not check the rows against it",
    "readChangeFeed": "ignored by Sail",
    "maxRecordsPerFile": "ignored by Sail",
    "txnAppId": "ignored by Sail",
    "txnVersion": "ignored by Sail",
    "cache": "does nothing on Sail",
    "persist": "does nothing on Sail",
    "checkpoint": "needs a folder that Sail must know",
    "rand": "another value at every action",
    "monotonically_increasing_id": "depends on the partitions",
    "input_file_name": "unknown to Sail",
    "rdd": "unknown to Spark Connect",
    "sparkContext": "unknown to Spark Connect",
    "dropDuplicates": "keeps any one of the equals; which one, the engine decides",
}
# The connector runs on real Delta only; the parity test runs it there, and another shows that Sail
# refuses it.
ALLOWED = {
    ("unity_connector.py", "txnAppId"),
    ("unity_connector.py", "txnVersion"),
    ("declarations.py", "rand"),  # the beginning of a table property's name
}


def words(source: str) -> set[str]:
    """Return the attributes, options and settings that the code names, without prose."""
    found: set[str] = set()
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
        ):
            found.update(word for word in BANNED if word == node.value or f".{word}" in node.value)
        elif isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
    return found


@pytest.mark.parametrize("module", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_job_uses_nothing_that_engines_do_differently(module: Path) -> None:
    used = {
        word
        for word in words(module.read_text())
        if word in BANNED and (module.name, word) not in ALLOWED
    }
    assert not used, {word: BANNED[word] for word in used}


@pytest.mark.parametrize(
    "line",
    [
        "frame.cache()",
        "frame.write.option('partitionOverwriteMode', 'dynamic')",
        "spark.conf.set('spark.sql.sources.partitionOverwriteMode', 'dynamic')",
        "frame.write.mode('overwrite')",
        "frame.write.options(txnAppId='x')",
        "frame.select(F.rand(17))",
    ],
)
def test_the_ban_sees_each_way_of_writing_it(line: str) -> None:
    assert words(line) & set(BANNED)
