"""Which step waits for which: faults that would leave an execution waiting for ever, or for a step that never runs.

    list(graph.faults(tree["Steps"]))     # [("Train", "waits for itself: Train → Gate → Train")]

A step waits for those that DependsOn names, for those whose properties it refers to, and, in a branch, for its Condition.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Fault = tuple[str, str]
Node = Mapping[str, Any]
Branch = tuple[str, ...]  # ("Gate: IfSteps", …): the branches around a step, the outermost first
_STEP = re.compile(r"Steps\.([A-Za-z0-9-]+)")
BRANCHES = ("IfSteps", "ElseSteps")


def faults(steps: list[Node]) -> Iterator[Fault]:
    """Every cycle once, and every wait for a step in a branch that may not be taken."""
    placed = {step["Name"]: (step, branch) for step, branch in _placed(steps, ())}
    waits = {name: _waits(step, branch, placed.keys()) for name, (step, branch) in placed.items()}
    for circle in _circles(waits):
        yield circle[0], f"waits for itself: {' → '.join(circle)}"
    for name, others in waits.items():
        own = placed[name][1]
        for other in others:
            theirs = placed[other][1]
            if theirs != own[: len(theirs)]:
                yield (
                    name,
                    f"refers to {other!r}, which is inside {theirs[-1]!r} and runs only if that branch is taken",
                )


def dependencies(step: Node) -> list[str]:
    """The names in a step's DependsOn. What else it holds is a fault that `pipeline.deployment.validation` finds."""
    named = step.get("DependsOn")
    return [entry for entry in named if isinstance(entry, str)] if isinstance(named, list) else []


def branches(step: Node) -> Iterator[tuple[str, list[Node]]]:
    """The branches of a Condition that are lists of steps, by name. Another step has none."""
    if step["Type"] == "Condition":
        yield from (
            (name, inner)
            for name in BRANCHES
            if isinstance(inner := step["Arguments"].get(name), list)
        )


def own(step: Node) -> Node:
    """All of a step that may refer to another one: its arguments, without the branches of a Condition, and what is
    beside them (display name, cache, retries)."""
    own_arguments = step["Arguments"]
    if step["Type"] == "Condition":
        own_arguments = {key: value for key, value in own_arguments.items() if key not in BRANCHES}
    return {
        **{key: value for key, value in step.items() if key != "DependsOn"},
        "Arguments": own_arguments,
    }


def references(node: Any) -> Iterator[str]:
    """Every path that a `Get` inside the node refers to."""
    if isinstance(node, Mapping):
        if set(node) == {"Get"}:
            yield str(node["Get"])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def _placed(steps: list[Node], branch: Branch) -> Iterator[tuple[Node, Branch]]:
    for step in steps:
        yield step, branch
        for name, inner in branches(step):
            yield from _placed(inner, (*branch, f"{step['Name']}: {name}"))


def _waits(step: Node, branch: Branch, known: Any) -> list[str]:
    read = [found[1] for path in references(own(step)) if (found := _STEP.match(path))]
    around = [branch[-1].partition(":")[0]] if branch else []
    return [name for name in dict.fromkeys([*dependencies(step), *read, *around]) if name in known]


def _circles(waits: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Each circle from its first step in the definition's order, and back to it."""
    done: set[str] = set()
    for start in waits:
        if start not in done and (circle := _way_back(start, waits, done)):
            done.update(circle)
            yield circle


def _way_back(start: str, waits: Mapping[str, list[str]], done: set[str]) -> list[str] | None:
    """The shortest way from a step to itself, past steps whose circle is known."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for other in waits[way[-1]]:
            if other == start:
                return [*way, start]
            if other not in seen and other not in done:
                seen.add(other)
                ways.append([*way, other])
    return None
