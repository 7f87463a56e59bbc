"""Answer one question: bring the index up to the evidence, find the nodes, add aliases and notes.

answer = Tracer(arguments).answer()              # for a table, JSON or a page
content = projection(arguments)                  # for --format
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from steps.governance.errors import UsageError
from steps.trace import aliases as alias_sources
from steps.trace import packages
from steps.trace.answer import Aliases, Answer, Question, composed
from steps.trace.arguments import Arguments
from steps.trace.filing import seen_by, unknown_filing
from steps.trace.history import History, split
from steps.trace.index import filings
from steps.trace.index.files import Index, IndexFolder
from steps.trace.index.rows import Row
from steps.trace.people.principal import acts_of
from steps.trace.questions import of_execution, of_model, of_table


class Tracer:
    """The index and history of one command."""

    def __init__(self, arguments: Arguments) -> None:
        """Open the index, and read what it lacks unless `--offline`."""
        self.arguments = arguments
        self.evidence = _canonical(arguments.evidence_uri)
        self.folder = IndexFolder(arguments.index / _name(self.evidence), self.evidence)
        self.index = self._opened()
        self.history = History.of(self.index.rows)
        self.notes: list[str] = []

    def answer(self) -> Answer:
        """Return the answer to the question.

        Raises:
            UsageError: the evidence does not have the object.
        """
        arguments = self.arguments
        shown = f"{arguments.text} version {arguments.version}"
        text = arguments.text if arguments.version is None else shown
        question = Question(arguments.kind, text)
        aliases, starts, extra = self._found()
        answer = composed(self.history, starts, question, aliases)
        root = self.evidence.removesuffix("/executions")
        unreadable = [
            (f"{root}/{row.key}", row.unreadable or "") for row in self.history.unreadable
        ]
        extra = extra | self._packages(answer)
        notes = [*self.folder.notes, *self.notes]
        return replace(
            answer, extra=extra, notes=tuple(notes), unreadable=tuple(sorted(unreadable))
        )

    def _packages(self, answer: Answer) -> dict[str, object]:
        """The packages of the answer's versions in SageMaker's registry, if conf has a group."""
        group = self.arguments.model_package_group
        if group is None or self.arguments.offline or not answer.versions:
            return {}
        found, notes = packages.of_answer(self.arguments.region, group, answer)
        self.notes += notes
        return {"model_packages": found} if found else {}

    def record(self) -> Row:
        """Return the one record of `--model` or `--execution`.

        Raises:
            UsageError: the execution registered no model.
        """
        _, starts, _ = self._found()
        for node in sorted(starts):
            if node.startswith("model:"):
                rows = self.history.rows_of[node]
                return next(row for row in rows if row.kind == "registered")
        raise UsageError(
            f"the execution {self.arguments.text} registered no model",
            expected="an execution with a record",
            do="--json and --html answer for executions without a record too",
        )

    def _opened(self) -> Index:
        if self.arguments.offline:
            found = self.folder.open()
            if found is None:
                reasons = "; ".join(self.folder.notes) or "it was never made"
                raise UsageError(
                    "an index to answer from is missing", got=reasons, do="run without --offline"
                )
            self.folder.notes.append(
                f"answered from the index of {found.indexed_at}; the evidence was not read"
            )
            return found
        from steps.trace.index.refresh import refresh
        from steps.trace.store import open_store

        store = open_store(self.arguments.evidence_uri, region=self.arguments.region)
        return refresh(store, self.folder, rebuild=self.arguments.rebuild)

    def _found(self) -> tuple[Aliases, set[str], dict[str, object]]:
        """Return the aliases, the nodes that the question starts at, and its own part."""
        arguments, history = self.arguments, self.history
        recorded = Aliases(alias_sources.as_recorded(history))
        if arguments.kind == "model":
            aliases = self._now(recorded, {arguments.text.rpartition("@")[0]})
            return aliases, of_model(history, arguments.text, aliases), {}
        if arguments.kind == "filing":
            return self._filing(recorded)
        extra: dict[str, object] = {}
        if arguments.kind == "execution":
            starts = of_execution(history, arguments.text)
        elif arguments.kind == "table":
            starts = of_table(history, arguments.text, arguments.version)
        else:
            found = acts_of(history, arguments.text)
            starts, extra = found.starts, found.extra
        return self._now(recorded, self._models(starts)), starts, extra

    def _filing(self, recorded: Aliases) -> tuple[Aliases, set[str], dict[str, object]]:
        history, wanted = self.history, self.arguments.text
        paths = self._paths()
        seen = filings.find(paths, wanted)
        if not seen and len(known := filings.named(paths, wanted)) == 1:
            self.notes.append(f"{wanted} is the filing {known[0]}")
            seen = filings.find(paths, known[0])
        if not seen:
            raise unknown_filing(history, wanted, filings.nearest(paths, wanted))
        starts = seen_by(history, seen, recorded).starts
        aliases = self._now(recorded, self._models(starts))
        found = seen_by(history, seen, aliases)
        return aliases, found.starts, found.extra

    def _paths(self) -> list[Path]:
        try:
            return self.folder.paths(self.index)
        except (ValueError, OSError) as error:
            if self.arguments.offline:
                raise UsageError(
                    "the index was not usable", got=str(error), do="run without --offline"
                ) from None
        from steps.trace.index.refresh import refresh
        from steps.trace.store import open_store

        self.folder.notes.append("the index was not usable; it was rebuilt from evidence")
        store = open_store(self.arguments.evidence_uri, region=self.arguments.region)
        self.index = refresh(store, self.folder, rebuild=True)
        return self.folder.paths(self.index)

    def _models(self, starts: set[str]) -> set[str]:
        nodes = starts | self.history.downstream(starts) | self.history.upstream(starts)
        return {split(node)[1] for node in nodes if node.startswith("model:")}

    def _now(self, recorded: Aliases, models: set[str]) -> Aliases:
        arguments = self.arguments
        if arguments.offline or not models:
            return recorded
        if arguments.databricks_host is None or arguments.databricks_secret_id is None:
            self.notes.append("aliases are as of the record: no workspace was named")
            return recorded
        registry = alias_sources.Registry(
            arguments.databricks_host, arguments.databricks_secret_id, arguments.region
        )
        known = {row.facts["model"] for row in self.history.documents["registered"]}
        now, notes = registry.aliases(models & known)
        self.notes += notes
        return replace(recorded, now=now)


def projection(arguments: Arguments) -> bytes:
    """Return one record in the format of a standard.

    Raises:
        IntegrityError: the record or a document that it refers to has another digest.
        UsageError: the evidence has no such record.
    """
    from steps.trace.formats.projection import project
    from steps.trace.loading import load
    from steps.trace.store import open_store

    row = Tracer(arguments).record()
    store = open_store(arguments.evidence_uri, region=arguments.region)
    return project(arguments.format or "", load(store, row), signed=arguments.signed)


def _name(evidence: str) -> str:
    """Return the name of an evidence bucket's folder.

    Two embedded environments have buckets of the same name, at two addresses.
    """
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    return hashlib.sha256(f"{evidence} {address}".encode()).hexdigest()[:16]


def _canonical(evidence: str) -> str:
    if evidence.startswith("s3://"):
        return evidence.rstrip("/")
    return str(Path(evidence).resolve())
