"""The MLflow run of one training job, through databricks-sdk.

    run = MlflowRun(workspace, experiment="/Shared/e", about=About(training_job="…", …))
    run.open()                      # find it by its tag or create it; it is RUNNING from here on
    run.write([Point(…)], {})       # values and tags
    run.end("FINISHED")

External calls. Each is sent once, with a time limit. The caller repeats a call that raised
`Unavailable`, and no other.

    lost response   experiment: the repeated call finds it by name. Run: the repeated call finds it
                    by its tag; of two runs, every caller takes the one that began first. Values,
                    tags, data and status: equal ones that are sent again change nothing (the hosted
                    service may keep an equal value twice, at the same point of the curve
                    [unverified])
    duplicate       as above. A job that SageMaker starts again opens the same run, and the steps
                    since the last checkpoint are in it twice, the second with a later time
    time-out        treated as a lost response
    429, 5xx        raises `Unavailable` at once, with the pause that the response requests
    expired token   governance.identity renews it before each call; a 401 is final
    400, 403, 404   final; the error includes what to do
    crash           before a call: nothing was created, and the next start creates it. After a
                    call: the next start finds it and sets its status to RUNNING

Permissions [unverified on a live account]: CAN EDIT on the experiment. Where it does not exist yet,
CAN EDIT on its folder; /Shared grants that to all users unless an administrator removed it.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from databricks.sdk import errors as databricks
from databricks.sdk.service.ml import (
    DatasetInput,
    ExperimentsAPI,
    Metric,
    Param,
    RunInfoStatus,
    RunTag,
    UpdateRunStatus,
)

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    IdentityRefused,
    NameRefused,
    NotFound,
    Unavailable,
)
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.once import client_that_sends_once
from steps.governance.unity_catalog.refusals import translated

Status = Literal["FINISHED", "FAILED", "KILLED"]
TAG = "governed_finetune."  # in front of each of our tags
# Values per request. log-batch accepts 1,000 values, tags and params, 100 tags [docs of log_batch]
MOST_POINTS = 900

_JOB_TAG = f"{TAG}training_job"
_SECONDS = 30.0  # of a call: a response takes below 1 s; of a server that is just starting, longer
_MOST_CHARACTERS = 250  # of a tag's value in log-batch [docs of log_batch]
_FINAL = (
    *(databricks.BadRequest, databricks.NotImplemented),
    *(databricks.AlreadyExists, databricks.ResourceAlreadyExists),
)
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")  # SageMaker's rule; a filter quotes it


@dataclass(frozen=True)
class Point:
    """One value of one metric, with its optimizer step and its time in epoch milliseconds."""

    key: str
    value: float
    step: int
    milliseconds: int


@dataclass(frozen=True)
class About:
    """What a run states about itself: its job, its name, and its input."""

    training_job: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    dataset: DatasetInput | None = None


class MlflowRun:
    """The run of a training job, written by one principal."""

    def __init__(self, workspace: Workspace, *, experiment: str, about: About) -> None:
        if not _JOB_NAME.fullmatch(about.training_job):
            raise NameRefused(
                "a training job's name was refused",
                expected=_JOB_NAME.pattern,
                got=repr(about.training_job),
            )
        self.principal = workspace.principal
        self.id: str | None = None
        self.experiment_id: str | None = None
        self._workspace, self._experiment, self._about = workspace, experiment, about
        self._began = milliseconds()

    def open(self) -> None:
        """Find or create the run, set it to RUNNING, log its parameters and data, and set `id`.

        Raises:
            AccessDenied: CAN EDIT on the experiment, or on its folder, is missing.
            IdentityRefused: the workspace does not accept this principal any more.
            NotFound: the experiment's folder is missing, or the experiment was deleted.
            Unavailable: no usable response; call it again.
        """
        experiment_id = self._experiment_id()
        found = self._first(experiment_id)
        if found is None:
            created = self._create(experiment_id)
            found = self._first(experiment_id) or created  # a search may not return it yet
        run_id = str(found.info.run_id)
        with self._sent(f"open run {run_id} of {self._experiment}"):
            if found.info.status is not RunInfoStatus.RUNNING:
                self._api.update_run(run_id=run_id, status=UpdateRunStatus.RUNNING)
            params = [Param(key=key, value=value) for key, value in self._about.params.items()]
            self._api.log_batch(run_id=run_id, params=params)
        if self._about.dataset is not None:
            with self._sent(f"name the data of run {run_id} of {self._experiment}"):
                self._api.log_inputs(run_id, datasets=[self._about.dataset])
        self.id, self.experiment_id = run_id, experiment_id

    def write(self, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Send values, at most `MOST_POINTS`, and tags."""
        metrics = [
            Metric(
                key=point.key,
                value=_number(point.value),
                step=point.step,
                timestamp=point.milliseconds,
            )
            for point in points
        ]
        labels = [
            RunTag(key=key, value=value[:_MOST_CHARACTERS])
            for key, value in _prefixed(tags).items()
        ]
        with self._sent(f"write to run {self.id} of {self._experiment}"):
            self._api.log_batch(run_id=self.id, metrics=metrics, tags=labels)

    def end(self, status: Status) -> None:
        """Set the status that the job ended with."""
        with self._sent(f"end run {self.id} of {self._experiment}"):
            self._api.update_run(
                run_id=self.id, status=UpdateRunStatus(status), end_time=milliseconds()
            )

    @cached_property
    def _api(self) -> ExperimentsAPI:
        """The client. It is created on first use, in the sending thread."""
        return client_that_sends_once(self._workspace, timeout_seconds=_SECONDS).api(ExperimentsAPI)

    def _experiment_id(self) -> str:
        try:
            with self._sent(f"look up experiment {self._experiment}"):
                experiment = self._api.get_by_name(self._experiment).experiment
            return str(experiment.experiment_id if experiment else "")
        except NotFound:
            pass
        try:
            with self._sent(f"create experiment {self._experiment}"):
                return str(self._api.create_experiment(self._experiment).experiment_id)
        except Conflict as error:  # another job created it, or the response to us was lost
            raise Unavailable(f"experiment {self._experiment} was created meanwhile") from error

    def _first(self, experiment_id: str) -> Any:
        """Return the job's run that began first, or None."""
        with self._sent(f"search experiment {self._experiment}"):
            found = self._api.search_runs(
                experiment_ids=[experiment_id],
                filter=f"tags.`{_JOB_TAG}` = '{self._about.training_job}'",
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                max_results=1,
            )
            return next(iter(found), None)

    def _create(self, experiment_id: str) -> Any:
        every = {_JOB_TAG: self._about.training_job, **_prefixed(self._about.tags)}
        tags = [RunTag(key=key, value=value) for key, value in every.items()]
        with self._sent(f"create a run in {self._experiment}"):
            return self._api.create_run(
                experiment_id=experiment_id,
                run_name=self._about.name,
                start_time=self._began,
                tags=tags,
            ).run

    @contextmanager
    def _sent(self, doing: str) -> Iterator[None]:
        """Run one call. Final errors get what to do; all other errors become `Unavailable`."""
        try:
            with translated(self.principal, doing):
                yield
        except AccessDenied as error:
            raise AccessDenied(
                error.what,
                expected=f"CAN EDIT on the experiment {self._experiment} "
                "(on its folder, if it does not exist yet)",
                got=str(error.__cause__).partition(" Config: ")[0][:200],
                do=f"give {self.principal} CAN EDIT there, or set train.mlflow_experiment to null",
            ) from error
        except IdentityRefused as error:
            do = "check that the service principal and its OAuth secret exist and are active"
            raise IdentityRefused(error.what, do=do) from error
        except (NotFound, Unavailable):
            raise
        except GovernanceError as error:
            if isinstance(error.__cause__, _FINAL):
                raise
            raise Unavailable(
                f"the workspace failed while {self.principal} tried to {doing}", got=str(error)
            ) from error


def milliseconds() -> int:
    """Return the time as MLflow has it, in epoch milliseconds."""
    return int(time.time() * 1000)


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {TAG + key: value for key, value in tags.items()}


def _number(value: float) -> Any:
    """Return the value for JSON: NaN and infinity by protobuf's names, which JSON does not have.

    Whether the hosted service accepts these names is [unverified].
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)
