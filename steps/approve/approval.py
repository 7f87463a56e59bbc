"""Approve that an alias points to a model version, or revoke that: evidence first, the alias last.

    outcome = Approving(arguments, workspace).run()

    who        a member of the approvers' group; who started the execution may not approve it
    record     verify the record, its signature and its entry in the ledger
    decide     sign and store the decision, once, and append it to the ledger
    tag        set the version's tag that a deployment job waits for, or remove it
    alias      let the alias point to the version, or back to the one before
    package    approve or reject its package in SageMaker's own registry, with a group in conf

After a crash between any two lines the same command continues with the stored decision. Of two
people who decide about one version at once, one stores the decision and the other gets a Conflict.
Of two decisions about one alias on two versions, the later entry in the ledger counts, and the
earlier one ends in a Conflict. Reasons: docs/decisions/020-approval.md and 080-packages.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from steps.approve.approver import Approver, identified, require_another
from steps.approve.arguments import Arguments
from steps.approve.conflicts import already, moved_on, superseded
from steps.approve.decisions import Decision, Decisions, require_pinned
from steps.approve.hand_over.handing_over import HandingOver
from steps.approve.history import History, head_of
from steps.approve.recorded import Recorded, verified
from steps.approve.registry import Registry
from steps.governance.documents.approval import Approval
from steps.governance.errors import Conflict, NotFound
from steps.governance.evidence import Evidence
from steps.governance.signing.kms_signer import Signer
from steps.governance.signing.ledger_writer import Ledger, Stored
from steps.governance.signing.public_key import PublicKey
from steps.governance.unity_catalog.identity import Workspace

APPROVED = "Approved"  # the value that a deployment job of MLflow 3 compares with [its template]
_TRIES = 5  # to store a decision while others store theirs


@dataclass(frozen=True)
class Outcome:
    """A decision that took effect, and where its evidence is."""

    decision: Decision
    entry: Stored
    package: str | None = None  # its ARN, with a group in conf


class Approving:
    """One decision about one alias and one version."""

    def __init__(self, arguments: Arguments, workspace: Workspace) -> None:
        self._given, self._workspace = arguments, workspace
        self._model, self._version = arguments.model
        self._registry = Registry(workspace, self._model)
        evidence = Evidence(arguments.region)
        signer = Signer(arguments.region, arguments.approval_key_arn)
        require_pinned(signer, arguments.approval_public_key)
        self._evidence = evidence
        self._decisions = Decisions(evidence, arguments.bucket_uri, signer)
        self._ledger = Ledger(
            arguments.region,
            f"{arguments.bucket_uri}/ledger",
            signer,
            signs={"approval", "revocation"},
        )
        self._handing_over = HandingOver.of(arguments)
        self._history = History(self._ledger, self._decisions, str(self._model), arguments.alias)

    def run(self) -> Outcome:
        """Decide what is not decided yet, and do what is not done yet.

        Raises:
            AccessDenied: not a member of the group, or who started the execution.
            NotFound: no such version, or no record of it.
            IntegrityError: record, signature or ledger cannot be trusted.
            Conflict: another person decided, or the alias has moved on.
        """
        approver = identified(self._workspace, self._given.region, self._given.approvers_group)
        if not self._given.revoke:
            require_another(approver, self._recorded.record)
        self._require_entered()
        decide = self._revocation if self._given.revoke else self._approval
        decision = self._decided(approver, decide)
        entry = self._entered(decision)
        try:
            self._take_effect(decision, entry)
        except Conflict:  # the alias belongs to a later decision; the package follows the ledger
            self._hand_over()
            raise
        return Outcome(decision, entry, self._hand_over())

    def _hand_over(self) -> str | None:
        if self._handing_over is None:
            return None
        recorded = self._recorded
        return self._handing_over.follow(
            recorded, lambda: self._history.of(self._model, self._version, recorded.ledger)
        )

    @cached_property
    def _recorded(self) -> Recorded:
        return verified(
            self._evidence,
            self._given.evidence_uri,
            version=(self._model, self._version),
            tags=self._registry.tags(self._version),
            key=PublicKey.pinned(self._given.signing_public_key),
        )

    def _require_entered(self) -> None:
        """Check that the ledger has the record; a record of version 1 has no entry."""
        recorded = self._recorded
        if recorded.record.ledger is None:
            return
        for stored in self._ledger.after(recorded.ledger):
            if stored.entry.document == recorded.key:
                if stored.entry.document_sha256 == recorded.sha256:
                    return
                break
        raise NotFound(
            f"the ledger has no entry of the record of version {self._version} of {self._model}",
            expected=f"an entry of {recorded.key} with {recorded.sha256}",
            do="wait until Register has ended; `python -m pipeline.audit` names what is missing",
        )

    def _decided(
        self, approver: Approver, decide: Callable[[Approver, list[Decision]], Decision]
    ) -> Decision:
        for _ in range(_TRIES):
            made = self._decisions.of(self._model, self._version)
            try:
                return decide(approver, made)
            except Conflict:
                if len(self._decisions.of(self._model, self._version)) == len(made):
                    raise  # nobody was faster: the conflict is another one
        raise Conflict(f"version {self._version} of {self._model} is decided about all the time")

    def _approval(self, approver: Approver, made: list[Decision]) -> Decision:
        last, current = self._last(made), self._registry.aliased(self._given.alias)
        replaced = current
        if last is not None and last.approval.action == "approve":
            entry = self._history.entry(last, self._recorded.ledger)
            if entry is None or self._is_current(last, entry, current):
                return self._own(last, approver)
        elif last is not None:
            self._entered(last)
            replaced = last.approval.replaced_version if current == self._version else current
        self._require_finished(current)
        return self._add(approver, made, replaced)

    def _revocation(self, approver: Approver, made: list[Decision]) -> Decision:
        last, current = self._last(made), self._registry.aliased(self._given.alias)
        if last is None:
            raise NotFound(
                f"version {self._version} of {self._model} has no approval "
                f"for alias {self._given.alias}",
                do="correct --model or --alias",
            )
        stored = self._history.entry(last, self._recorded.ledger)
        if last.approval.action == "revoke":
            unfinished = stored is None or current == self._version
            return last if unfinished else self._own(last, approver)
        if not self._is_current(last, stored or self._entered(last), current):
            raise moved_on(self._given.alias, (self._model, self._version), current)
        return self._add(approver, made, last.approval.replaced_version)

    def _is_current(self, decision: Decision, stored: Stored, current: int | None) -> bool:
        """Whether the alias is at the version, or where a crash of this approval left it."""
        if current == self._version:
            return True
        replaced = decision.approval.replaced_version
        return current == replaced and not self._history.after(stored)

    def _last(self, made: list[Decision]) -> Decision | None:
        about = [each for each in made if each.approval.alias == self._given.alias]
        return about[-1] if about else None

    def _own(self, decision: Decision, approver: Approver) -> Decision:
        found = decision.approval
        if (found.approver, found.reason) != (approver.databricks, self._given.reason):
            raise already(decision)
        return decision

    def _require_finished(self, current: int | None) -> None:
        """Check that the version that has the alias has no decision without an entry."""
        if current is None or current == self._version:
            return
        last = self._last(self._decisions.of(self._model, current))
        since = head_of(self._registry.tags(current).get("ledger_entry"))
        if last is not None and self._history.entry(last, since) is None:
            raise Conflict(
                f"a decision about version {current} of {self._model} is not finished",
                expected=f"an entry of {last.key} in the ledger",
                got=f"{last.approval.action} by {last.approval.approver}, without an entry",
                do=f"revoke version {current} first; that finishes it",
            )

    def _add(self, approver: Approver, made: list[Decision], replaced: int | None) -> Decision:
        approval = Approval(
            action="revoke" if self._given.revoke else "approve",
            model=str(self._model),
            version=self._version,
            alias=self._given.alias,
            record=self._recorded.key,
            record_sha256=self._recorded.sha256,
            approver=approver.databricks,
            aws=approver.aws,
            group=approver.group,
            reason=self._given.reason,
            decided_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            replaced_version=replaced,
        )
        return self._decisions.add(approval, len(made) + 1)

    def _entered(self, decision: Decision) -> Stored:
        return self._ledger.append(self._recorded.ledger, decision.about, lambda: None)

    def _take_effect(self, decision: Decision, entry: Stored) -> None:
        approval, current = decision.approval, self._registry.aliased(self._given.alias)
        approves = approval.action == "approve"
        wanted = self._version if approves else approval.replaced_version
        self._require_settled(decision, entry, wanted)
        if not approves and current not in (self._version, wanted):
            raise moved_on(self._given.alias, (self._model, self._version), current)
        self._tag(approves)
        if current != wanted:
            self._registry.set_alias(self._given.alias, wanted)
            place, _ = self._history.settled(entry, wanted)
            if place != wanted:  # somebody decided while the alias was set
                self._registry.set_alias(self._given.alias, place)
            self._require_settled(decision, entry, wanted)

    def _require_settled(self, decision: Decision, entry: Stored, wanted: int | None) -> None:
        place, later = self._history.settled(entry, wanted)
        if later is not None and place != wanted:
            raise superseded(decision, later)

    def _tag(self, approves: bool) -> None:
        """Set the approval tag, or remove it if no other alias of the version is approved."""
        last = {
            each.approval.alias: each.approval.action
            for each in self._decisions.of(self._model, self._version)
        }
        value = APPROVED if approves or "approve" in last.values() else None
        if self._registry.tags(self._version).get(self._given.approval_tag) != value:
            self._registry.set_tag(self._version, self._given.approval_tag, value)
