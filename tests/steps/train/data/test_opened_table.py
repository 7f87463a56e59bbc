"""Who allowed the reading of the curated table, and how often its credential was renewed."""

from pathlib import Path
from types import SimpleNamespace

from steps.train.data.opened_table import opened
from tests.steps.train.support.curated_table import ARN, NAME, LocalAccess, prepared
from tests.steps.train.support.jobs import job


def test_the_record_has_the_rights_of_the_opening_and_the_renewals_of_the_end(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    made: SimpleNamespace = job(tmp_path / "ml", tiny_model, curated)
    table = opened(prepared(curated, ARN, 0), made.arguments, made.services)
    assert (table.reading.table, table.reading.principal) == (NAME, "train-principal")
    assert table.reading.credential.renewals == LocalAccess.renewals
    table.access.renewals += 2
    assert sum(batch.num_rows for batch in table.batches) > 0
    assert table.reading.credential.renewals == LocalAccess.renewals + 2
    assert table.reading.read_at == table.at_first.read_at
