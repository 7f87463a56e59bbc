"""The sections of a report about answering for it: approvals, audit, repetition."""

from collections.abc import Mapping
from typing import Any

from pipeline import command
from pipeline.configuration.config import Config
from pipeline.inspection.documents import Document, Documents
from pipeline.inspection.pages import section, table
from pipeline.inspection.run_summary import Summary

Section = Mapping[str, Any]
_OUTCOMES = ("mismatch", "could-not", "gone", "note", "ok")


def approvals(traced: Document | None) -> list[Section]:
    """Return who set which alias, and when."""
    nodes = (traced or {}).get("nodes", {})
    rows = [
        (
            edge.get("at", "").replace("T", " ").replace("Z", " UTC"),  # it can be broken
            edge["verb"],
            f"@{nodes[edge['target']]['version']}",
            edge["principal"],
        )
        for edge in (traced or {}).get("edges", [])
        if nodes.get(edge["target"], {}).get("kind") == "alias"
    ]
    return (
        [section("Aliases and approvals", table(("when", "what", "alias", "by"), rows))]
        if rows
        else []
    )


def packages(traced: Document | None) -> list[Section]:
    """Return the packages of SageMaker's own registry that repeat the run's version."""
    rows = [
        (f"@{each['version']}", each["status"], _decided(each["decided"]), each["arn"])
        for each in (traced or {}).get("model_packages", [])
    ]
    headings = ("version", "status now", "last decision in the evidence", "package")
    return [section("SageMaker's registry", table(headings, rows))] if rows else []


def _decided(act: Mapping[str, str] | None) -> str:
    return f"{act['verb']} as {act['alias']} by {act['who']} {act['at']}" if act else "none"


def audit(lines: list[Mapping[str, Any]] | None) -> list[Section]:
    """Return what an audit found, its faults first."""
    if lines is None:
        return []
    counts = {name: sum(each["outcome"] == name for each in lines) for name in _OUTCOMES}
    rows = [
        (each["outcome"], each["code"], str(each["expected"]), str(each["found"]))
        for each in sorted(lines, key=lambda each: _OUTCOMES.index(each["outcome"]))
        if each["outcome"] != "ok"
    ]
    text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    blocks: list[Mapping[str, Any]] = [
        {"kind": "text", "text": text, "bad": bool(counts["mismatch"] or counts["could-not"])}
    ]
    headings = ("outcome", "check", "expected", "found")
    return [section("Audit", *blocks, *([table(headings, rows)] if rows else []))]


def repetition(config: Config, run: Summary, found: Documents) -> Section:
    """Return the commands that start it again, look deeper, and compare."""
    build = (found.trained or found.prepared or {}).get("build") or {}
    typed = [
        ("the same again", "pipeline.run", f"--follow --from {run.id}"),
        ("with another value", "pipeline.run", f"--follow --from {run.id} --set LearningRate=…"),
        (
            "on the same examples",
            "pipeline.run",
            f"--follow --from {run.id} --reuse --set LoraRank=…",
        ),
        ("next to another one", "pipeline.compare", f"{run.id} …"),
        ("its log", "pipeline.logs", run.id),
    ]
    if run.result.model_version:
        model = f"{run.result.model_name}@{run.result.model_version}"
        typed.append(("as an auditor", "pipeline.audit", f"--deep --model {model}"))
    lines = [
        f"{command.line(module, config.environment, words)}    # {what}"
        for what, module, words in typed
    ]
    rows = [("execution", run.result.arn), ("token", run.name)]
    rows += [("git commit", str(build["git_commit"]))] if build.get("git_commit") else []
    return section("How to repeat it", {"kind": "code", "text": "\n".join(lines)}, table((), rows))
