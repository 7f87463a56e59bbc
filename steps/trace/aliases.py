"""Which version an alias points at: as the evidence has it, and as the registry has it now.

    recorded = as_recorded(history)             # {("edgar.models.analyst", "champion"): 3}
    now = Registry(host=…, secret_id=…, region=…).aliases("edgar.models.analyst")

The evidence has each registration (the alias that it set) and each approval or revocation, in the
order of their times. The registry's answer is of this moment and is in no record.
"""

from dataclasses import dataclass

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName
from steps.trace.facts import Facts
from steps.trace.history import History

Holders = dict[tuple[str, str], int]  # by model and alias, the version
ByVersion = dict[tuple[str, int], list[str]]  # by model and version, its aliases
_MOST_LOOKED_UP = 20  # models of one answer; each is a call of 50 ms and more


@dataclass(frozen=True)
class Registry:
    """The workspace whose model registry is asked for the aliases of now."""

    host: str
    secret_id: str
    region: str

    def aliases(self, models: set[str]) -> tuple[Holders, list[str]]:
        """Return the aliases of some models now, and a note for each that could not be looked up.

        Calls are reads: they are repeated within the read budget of `governance.retrying`, and a
        401 is not.
        """
        # The SDK takes two seconds to import, and an answer from the index does not need it.
        from steps.governance.unity_catalog.identity import connect
        from steps.governance.unity_catalog.refusals import translated

        found: Holders = {}
        notes: list[str] = []
        wanted = sorted(models)[:_MOST_LOOKED_UP]
        if len(models) > len(wanted):
            notes.append(
                f"the registry was read for {len(wanted)} of {len(models)} models; the aliases of "
                "the others are as of the record"
            )
        try:
            workspace = connect(host=self.host, secret_id=self.secret_id, region=self.region)
        except GovernanceError as error:
            return {}, [f"aliases are as of the record, not of now: {error.what}"]
        for name in wanted:
            try:
                checked = str(UcName.parse(name))
                with translated(workspace.principal, f"look up the aliases of {checked}"):
                    answer = workspace.client.registered_models.get(checked, include_aliases=True)
            except GovernanceError as error:
                notes.append(f"the aliases of {name} are as of the record: {error.what}")
                continue
            found |= {
                (name, str(each.alias_name)): int(each.version_num or 0)
                for each in answer.aliases or []
            }
            found.setdefault((name, ""), 0)
        return found, notes


def as_recorded(history: History) -> Holders:
    """Return the version of each alias after every registration and decision in the evidence."""
    events: list[tuple[str, Facts]] = [
        (row.facts["at"], row.facts)
        for kind in ("registered", "approval")
        for row in history.documents[kind]
    ]
    found: Holders = {}
    for _, facts in sorted(events, key=lambda event: (event[0], event[1]["version"])):
        pair = (facts["model"], facts["alias"])
        if facts.get("action") != "revoke":
            found[pair] = facts["version"]
        elif facts["replaced"] is not None:
            found[pair] = facts["replaced"]
        elif found.get(pair) == facts["version"]:
            del found[pair]
    return found


def by_version(holders: Holders) -> ByVersion:
    """Return the aliases that point at each version."""
    found: ByVersion = {}
    for (model, alias), version in sorted(holders.items()):
        found.setdefault((model, version), []).append(alias)
    return found
