"""An error of the engine of any class becomes one sentence."""

import sys
import types

import pytest

from steps.governance.errors import GovernanceError
from steps.prepare.session import engine_faults, translated

JAVA = """An error occurred while calling o52.sql.
: org.apache.spark.SparkException: Job aborted
\tat org.apache.spark.X.y(X.scala:1)
Caused by: java.io.FileNotFoundException: File part-1.parquet does not exist
\tat java.base/java.X.y(Z.java:2)
\t... 3 more"""


@pytest.mark.parametrize("kind", ["Py4JJavaError", "Py4JNetworkError", "Py4JError"])
def test_a_fault_of_the_jvm_that_pyspark_has_no_class_for_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A module named `py4j.protocol` replaces the one that classic Spark has loaded.

    Spark Connect's client has no py4j.
    """
    base = type("Py4JError", (Exception,), {})
    loaded = types.ModuleType("py4j.protocol")
    vars(loaded)["Py4JError"] = base
    monkeypatch.setitem(sys.modules, "py4j.protocol", loaded)
    with (
        pytest.raises(GovernanceError, match="Spark failed to read table x") as failed,
        translated("read table x"),
    ):
        raise type(kind, (base,), {})(JAVA)
    assert "got       java.io.FileNotFoundException: File part-1.parquet does not exist\n" in str(
        failed.value
    )


def test_without_py4j_only_pyspark_s_own_faults_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "py4j.protocol", raising=False)
    assert [fault.__name__ for fault in engine_faults()] == ["PySparkException"]
    assert "py4j.protocol" not in sys.modules


def test_a_refusal_of_ours_passes_as_it_was_raised() -> None:
    refusal = GovernanceError("refused")
    with pytest.raises(GovernanceError) as raised, translated("read table x"):
        raise refusal
    assert raised.value is refusal
