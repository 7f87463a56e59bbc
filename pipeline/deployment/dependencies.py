"""Find steps that would wait for themselves, or for a step that may never run.

    list(dependencies.faults(tree["Steps"]))
    # [("Train", "waits for itself: Train → Gate → Train")]

A step waits for the steps in its DependsOn, for those whose properties it refers to, and, inside a
branch, for the Condition around it.
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
    """Yield every cycle once, and every wait for a step in a branch that may not be taken."""
    placed = {step["Name"]: (step, branch) for step, branch in _placed(steps, ())}
    waits = {name: _waits(step, branch, placed.keys()) for name, (step, branch) in placed.items()}
    for cycle in _cycles(waits):
        yield cycle[0], f"waits for itself: {' → '.join(cycle)}"
    for name, others in waits.items():
        step, own = placed[name]
        for other in others:
            theirs = placed[other][1]
            may_wait = not own and other in dependencies(step) and _must_be_taken(theirs, placed)
            if theirs != own[: len(theirs)] and not may_wait:
                yield (
                    name,
                    (
                        f"refers to {other!r}, which is inside {theirs[-1]!r} "
                        "and runs only if that branch is taken"
                    ),
                )


def _must_be_taken(branch: Branch, placed: Mapping[str, tuple[Node, Branch]]) -> bool:
    """Return whether an execution that does not take this branch ends in a Fail step.

    Then nobody waits: `Train` may depend on `Prepare`, which is inside a branch of `Limits`.
    """
    if len(branch) != 1:
        return False
    condition, _, taken = branch[0].partition(": ")
    others = [inner for name, inner in branches(placed[condition][0]) if name != taken]
    return all(any(step["Type"] == "Fail" for step in inner) for inner in others)


def dependencies(step: Node) -> list[str]:
    """Return the names in a step's DependsOn. `validation` refuses other entries."""
    named = step.get("DependsOn")
    return [entry for entry in named if isinstance(entry, str)] if isinstance(named, list) else []


def branches(step: Node) -> Iterator[tuple[str, list[Node]]]:
    """Yield the branches of a Condition, if they are lists of steps, by name."""
    if step["Type"] == "Condition":
        yield from (
            (name, inner)
            for name in BRANCHES
            if isinstance(inner := step["Arguments"].get(name), list)
        )


def own(step: Node) -> Node:
    """Return the parts of a step that may refer to another one.

    These are its arguments, without the branches of a Condition, and its other settings (display
    name, cache, retries).
    """
    own_arguments = step["Arguments"]
    if step["Type"] == "Condition":
        own_arguments = {key: value for key, value in own_arguments.items() if key not in BRANCHES}
    return {
        **{key: value for key, value in step.items() if key != "DependsOn"},
        "Arguments": own_arguments,
    }


def references(node: Any) -> Iterator[str]:
    """Yield the path of every `Get` inside the node."""
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


def _cycles(waits: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Each cycle, beginning and ending with its first step in the definition's order."""
    done: set[str] = set()
    for start in waits:
        if start not in done and (cycle := _path_back(start, waits, done)):
            done.update(cycle)
            yield cycle


def _path_back(start: str, waits: Mapping[str, list[str]], done: set[str]) -> list[str] | None:
    """The shortest path from a step to itself that avoids steps whose cycle is known."""
    paths, seen = [[start]], {start}
    while paths:
        path = paths.pop(0)
        for other in waits[path[-1]]:
            if other == start:
                return [*path, start]
            if other not in seen and other not in done:
                seen.add(other)
                paths.append([*path, other])
    return None
