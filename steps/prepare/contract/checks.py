"""The checks of a run's contract: each compares one number of the profile with its bounds.

    made = checked(profile, earlier, Bounds(), given={"source": 1.0, "overlap": 0.01})
    broken(made)        # those out of their bounds

The first run of a table has absolute bounds only, and a small run wider ones for changes
(`steps.prepare.contract.noise`). `docs/decisions/033-contract.md` lists the checks and how much of
broken input they find.
"""

from collections.abc import Iterator, Mapping

from steps.governance.documents.manifest import ContractCheck
from steps.prepare.bounds import Bounds
from steps.prepare.contract import noise
from steps.prepare.contract.profile import Profile, distance

UNBOUNDED = 1e12  # where only the lower bound counts


def checked(
    profile: Profile, earlier: Profile | None, bounds: Bounds, *, given: Mapping[str, float]
) -> list[ContractCheck]:
    """Return every check with its bounds and the number found, good or not.

    `given` has what no profile holds: `source` (1: allowed) and `overlap`.
    """
    absolute = list(_absolute(profile, bounds, given))
    return [*absolute, *(_compared(profile, earlier, bounds) if earlier is not None else ())]


def broken(checks: list[ContractCheck]) -> list[ContractCheck]:
    """Return the checks whose number is out of its bounds."""
    return [check for check in checks if not check.least <= check.found <= check.most]


def _absolute(
    profile: Profile, bounds: Bounds, given: Mapping[str, float]
) -> Iterator[ContractCheck]:
    years = [int(year) for year in profile.years]
    yield _check("source", given["source"], 1, 1)
    yield _check("rows", profile.rows, bounds.least_rows, UNBOUNDED)
    yield _check("rejected", profile.rejected, 0, bounds.most_rejected)
    yield _check("invalid", profile.invalid, 0, bounds.most_invalid)
    yield _check("repeats", profile.repeats, 0, bounds.most_repeats)
    yield _check("dropped", profile.dropped, 0, bounds.most_rejected)
    yield _check("injections", profile.injections, 0, bounds.most_injections)
    yield _check("scrubbed", profile.scrubbed, 0, bounds.most_scrubbed)
    yield _check("eval", profile.eval, bounds.least_eval, bounds.most_eval)
    yield _check("overlap", given["overlap"], 0, bounds.most_overlap)
    yield _check("heading", profile.heading, bounds.shortest_heading, bounds.longest_heading)
    yield _check("body", profile.body, bounds.shortest_body, bounds.longest_body)
    yield _check("first_year", min(years), bounds.first_year, bounds.last_year)
    yield _check("last_year", max(years), bounds.first_year, bounds.last_year)


def _compared(profile: Profile, earlier: Profile, bounds: Bounds) -> Iterator[ContractCheck]:
    growth = profile.rows / max(earlier.rows, 1)
    yield _check("growth", growth, bounds.least_growth, bounds.most_growth)
    filings = profile.filings, earlier.filings
    factors = profile.factors, earlier.factors
    for name, sizes in (
        *((each, filings) for each in ("rejected", "invalid", "without_sic")),
        *((each, factors) for each in ("repeats", "dropped")),
    ):
        before = getattr(earlier, name)
        most = max(bounds.share_change, noise.share(before, *sizes))
        yield _check(f"{name}_change", abs(getattr(profile, name) - before), 0, most)
    for name in ("heading", "body"):
        change = abs(getattr(profile, name) / max(getattr(earlier, name), 1) - 1)
        yield _check(f"{name}_change", change, 0, bounds.length_change)
    most = max(bounds.years_distance, noise.years(earlier.years, *filings))
    yield _check("years", distance(profile.years, earlier.years), 0, most)
    words = distance(_named(profile.words), _named(earlier.words))
    yield _check("words", words, 0, max(bounds.words_distance, noise.words(*filings)))


def _named(counts: list[int]) -> dict[str, int]:
    return {str(group): count for group, count in enumerate(counts)}


def _check(name: str, found: float, least: float, most: float) -> ContractCheck:
    return ContractCheck(
        name=name, found=round(float(found), 6), least=least, most=round(float(most), 6)
    )
