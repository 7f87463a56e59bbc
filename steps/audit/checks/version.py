"""Deep checks of a model version's files: the adapter, and what mlflow writes around it."""

from steps.audit.case import Case
from steps.audit.checks import model_signature
from steps.audit.checks.files import digests
from steps.audit.findings import Comparison, Note
from steps.governance.documents import canonical

# What mlflow writes next to the adapter, as far as no digest of it was recorded
_PACKAGE = {
    "MLmodel",
    "artifacts/base_model.json",
    "conda.yaml",
    "python_env.yaml",
    "requirements.txt",
    "serving.py",
}
_ADAPTER, _SIGNATURE = "artifacts/adapter/", "artifacts/model.sig"


def version_files(case: Case) -> Comparison:
    """The model version's folder holds the recorded adapter, byte for byte, and no other file."""
    model, registry = case.record.model, case.context.services.registry
    store, location = registry.version_store(model.name, model.version), case.version.location
    recorded = {f"{_ADAPTER}{each.path}": each.sha256 for each in case.record.artifact.files}
    if not case.first_version:
        recorded[_SIGNATURE] = canonical.sha256(case.read(model_signature.NAME))
    stored = store.keys(location)
    names = sorted(recorded.keys() | {name for name in stored if name.startswith(_ADAPTER)})
    found = digests(case, store, {name: f"{location}/{name}" for name in names})
    pairs: list[tuple[str, object, object]] = [
        (name, recorded.get(name), found[name].sha256) for name in names
    ]
    around = _PACKAGE if model.files is None else model.files.keys()
    extra = sorted(stored.keys() - around - set(names))
    pairs.append(("other files", [], extra))
    return Comparison(location, pairs, summary=f"{len(recorded)} files")


def version_package(case: Case) -> Comparison | Note:
    """The serving code and the other files around the adapter have the recorded digests."""
    model, location = case.record.model, case.version.location
    if model.files is None:
        return Note("not recorded by the release that registered it", location)
    store = case.context.services.registry.version_store(model.name, model.version)
    found = digests(case, store, {name: f"{location}/{name}" for name in model.files})
    return Comparison(
        location,
        [(name, sha256, found[name].sha256) for name, sha256 in sorted(model.files.items())],
        summary=f"{len(model.files)} files",
    )
