"""Evaluate the owner's rules on the rows by Spark, before anything is staged.

The rules are Spark SQL, as Delta keeps them, so the same Spark that makes the rows evaluates them.
A rule that this Spark cannot evaluate is refused by name. NULL breaks a CHECK constraint, as in
Delta.

Sail's arithmetic wraps where Spark's ends with an error (findings/sail-sums-wrap-in-ansi-mode.sh),
so a row could hold a rule by a wrapped number. On an engine that wraps, a rule with arithmetic is
evaluated a second time with BIGINT in the place of INT, and refused if the two disagree.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from steps.governance.errors import Conflict, GovernanceError
from steps.prepare.delta.store import Place, Rule
from steps.prepare.session import engine_faults, reason, translated

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Spark's functions that make rows. Sail accepts them in a condition, and fails at the first row.
_GENERATOR = re.compile(
    r"\b(?P<name>(?:explode|posexplode|inline|stack|json_tuple)(?:_outer)?)\s*\(", re.IGNORECASE
)
_ARITHMETIC = re.compile(r"[+*-]")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"")


def require_evaluable(empty: "DataFrame", place: Place, rules: Sequence[Rule]) -> None:
    """Require that every rule is a condition on the columns of one row.

    Args:
        empty: a frame with the columns and without rows.
        place: the table.
        rules: what its owner declared.

    Raises:
        Conflict: one is not; the message names it.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    for rule in rules:
        if generator := _GENERATOR.search(_QUOTED.sub("''", rule.expression)):
            raise _refused(place, rule, f"{generator['name'].lower()}, which makes rows")
        try:
            found = (
                empty.select(F.expr(rule.expression).alias("holds"))
                .schema["holds"]
                .dataType.simpleString()
            )
            if found == "boolean":
                # An aggregate, a window or a subquery fails only when an action runs.
                empty.agg(_broken(rule)).collect()
        except engine_faults() as error:
            raise _refused(place, rule, reason(str(error))) from error
        if found != "boolean":
            raise _refused(place, rule, f"a value of type {found}")


def require_held(frame: "DataFrame", place: Place, rules: Sequence[Rule]) -> None:
    """Require that every row satisfies every rule.

    This is one Spark action over the rows, or no action without rules.

    Raises:
        Conflict: rows break one; the message names it with its expression and their number.
    """
    if not rules:
        return
    require_evaluable(frame.limit(0), place, rules)
    _require_no_wrap(frame, place, rules)
    broken = [_broken(rule).alias(f"rule_{at}") for at, rule in enumerate(rules)]
    named = ", ".join(f"{rule.name} ({rule.expression})" for rule in rules)
    with translated(f"check the rows of table {place.name} against {named}"):
        counts = frame.agg(*broken).collect()[0]
    found = [
        f"{_rows(counts[at])} {rule.name}: {rule.expression}"
        for at, rule in enumerate(rules)
        if counts[at]
    ]
    if found:
        raise Conflict(
            f"rows break what the owner of table {place.name} declared, none was written to it",
            expected=f"rows that hold {named}",
            got="; ".join(found),
            do="choose another CuratedTable, or ask the table's owner to drop the rule",
        )


def _require_no_wrap(frame: "DataFrame", place: Place, rules: Sequence[Rule]) -> None:
    """Refuse a rule whose INT arithmetic overflows in a row, on an engine that wraps there."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    counting = [rule for rule in rules if _ARITHMETIC.search(_QUOTED.sub("''", rule.expression))]
    if not counting or not _wraps(frame):
        return
    narrow = {f"_holds_{at}": F.expr(rule.expression) for at, rule in enumerate(counting)}
    wider = {name: F.col(name).cast("bigint") for name, kind in frame.dtypes if kind == "int"}
    both = frame.withColumns(narrow).withColumns(wider)
    differ = [
        F.sum((~F.expr(rule.expression).eqNullSafe(F.col(f"_holds_{at}"))).cast("int"))
        for at, rule in enumerate(counting)
    ]
    with translated(f"check the arithmetic of the rules of table {place.name}"):
        found = both.agg(*(F.coalesce(each, F.lit(0)) for each in differ)).collect()[0]
    for rule, rows in zip(counting, found, strict=True):
        if rows:
            raise _refused(
                place, rule, f"arithmetic that overflows INT in {rows} rows; this Spark wraps it"
            )


def _wraps(frame: "DataFrame") -> bool:
    """Return whether this engine lets INT arithmetic wrap; Spark's ANSI mode ends with an error."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    largest = frame.sparkSession.range(1).select((F.col("id") + (2**31 - 1)).cast("int").alias("n"))
    try:
        return bool(largest.select((F.col("n") + F.lit(1)).alias("n")).collect()[0]["n"] < 0)
    except engine_faults():
        return False


def _broken(rule: Rule) -> "Column":
    """Return the number of rows that break a rule."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    holds = F.coalesce(F.expr(rule.expression), F.lit(False))
    return F.coalesce(F.sum(F.when(holds, 0).otherwise(1)), F.lit(0))


def _rows(broken: int) -> str:
    return "1 row breaks" if broken == 1 else f"{broken} rows break"


def _refused(place: Place, rule: Rule, got: str) -> GovernanceError:
    return Conflict(
        f"a rule of table {place.name} cannot be evaluated, nothing was written: {rule.name}",
        expected="a condition on the columns that Prepare writes, in the words of this "
        f"Spark: {rule.expression}",
        got=got,
        do="choose another CuratedTable, or ask the table's owner to drop the rule",
    )
