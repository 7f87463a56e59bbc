"""Connected components of edges: which texts are one group, and its earliest text.

    map_in_arrow(edges, linked, LINKS)        # edges, each part whole in one task

The edges of families have a part for each company. Those of near duplicates are one part, because
these cross companies: 40 bytes an edge in one task, and about five times as much while it works.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.prepare.repeats.likeness import EDGES

LINKS = pa.schema(
    [("kind", pa.int32())] + [(name, pa.int64()) for name in ("row", "first_row", "first_rank")]
)

Ints = npt.NDArray[np.int64]


def linked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return, of each text with an edge, the earliest text of its component: the least rank."""
    table = pa.Table.from_batches(
        [batch.select(EDGES.names).cast(EDGES) for batch in batches], schema=EDGES
    )
    kinds = table["kind"].to_numpy()
    for kind in np.unique(kinds):
        of_kind = np.flatnonzero(kinds == kind)
        rows = np.concatenate([table[name].to_numpy()[of_kind] for name in ("row_a", "row_b")])
        ranks = np.concatenate([table[name].to_numpy()[of_kind] for name in ("rank_a", "rank_b")])
        once, position = np.unique(rows, return_index=True)
        order = np.lexsort((once, ranks[position]))
        nodes, least = once[order], ranks[position][order]
        places = np.empty(len(once), np.int64)
        places[order] = np.arange(len(once))
        ends = places[np.searchsorted(once, rows)].reshape(2, -1)
        roots = components(*ends, count=len(nodes))
        columns = [np.full(len(nodes), kind, np.int32), nodes, nodes[roots], least[roots]]
        yield pa.record_batch([pa.array(column) for column in columns], schema=LINKS)


def components(one: Ints, other: Ints, *, count: int) -> Ints:
    """Return of each node 0 … count - 1 the least node that it is connected with."""
    roots = np.arange(count)
    while True:
        before = roots.copy()
        least = np.minimum(roots[one], roots[other])
        for ends in (roots[one], roots[other]):  # hook the root, so that whole trees move
            np.minimum.at(roots, ends, least)
        while (roots[roots] != roots).any():
            roots = roots[roots]
        if (before == roots).all():
            return roots
