"""What the ledger has about one alias: entries of decisions, in the order that counts.

    history = History(ledger, decisions, "edgar.models.analyst", "champion")
    history.after(head)          # the decisions about the alias since an entry, each with its entry

The order of entries is the order of decisions: of two about the same alias, the later one counts.
"""

from dataclasses import dataclass

from steps.approve.decisions import Decision, Decisions
from steps.governance.documents.record import LedgerHead
from steps.governance.names import UcName
from steps.governance.signing.ledger_writer import EMPTY, Ledger, Stored


@dataclass(frozen=True)
class History:
    """The decisions about one alias of one model."""

    ledger: Ledger
    decisions: Decisions
    model: str
    alias: str

    def entry(self, decision: Decision, since: LedgerHead) -> Stored | None:
        """Return a decision's entry after `since`, or None."""
        entries = self.ledger.after(since)
        return next((each for each in entries if each.entry.document == decision.key), None)

    def of(self, model: UcName, version: int, since: LedgerHead) -> list[Decision]:
        """Return a version's decisions, about each alias, in the order of their entries."""
        made = {each.key: each for each in self.decisions.of(model, version)}
        entries = [each.entry.document for each in self.ledger.after(since)]
        return [made[key] for key in entries if key in made]

    def settled(self, stored: Stored, place: int | None) -> tuple[int | None, Decision | None]:
        """Return where the alias belongs by now if an entry put it to `place`, and by whom."""
        last = None
        for last in self.after(stored):
            made = last.approval
            place = made.version if made.action == "approve" else made.replaced_version
        return place, last

    def after(self, stored: Stored) -> list[Decision]:
        """Return the decisions about the alias whose entries come after this one."""
        head = LedgerHead(number=stored.entry.number, sha256=stored.sha256)
        keys = [
            each.entry.document
            for each in self.ledger.after(head)
            if each.entry.document.startswith(f"approvals/{self.model}/")
        ]
        found = [self.decisions.read(key) for key in keys]
        return [each for each in found if each.approval.alias == self.alias]


def head_of(tag: str | None) -> LedgerHead:
    """Return the entry that a version's tag `ledger_entry` names; without a tag, the start."""
    number, _, sha256 = (tag or "").partition(":")
    return LedgerHead(number=int(number), sha256=sha256) if number.isdigit() else EMPTY
