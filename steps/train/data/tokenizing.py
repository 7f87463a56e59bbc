"""Log how far the tokenizing is, where it takes longer than three seconds.

    corpus.build(logged(batches, examples=5_000), chat, folder, …)

`pipeline.run --follow` shows the last line in Train's row until the first optimizer step.
"""

import logging
from collections.abc import Iterable, Iterator

import pyarrow as pa

from steps.governance.commands.pace import Pace, Work

_log = logging.getLogger(__name__)


def logged(batches: Iterable[pa.RecordBatch], *, examples: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches; one is tokenized when the next is asked for. `examples`: of all."""
    pace = Pace(Work("tokenizing", examples, "examples"), _log.info)
    for batch in batches:
        yield batch
        pace.add(batch.num_rows)
    pace.end()
