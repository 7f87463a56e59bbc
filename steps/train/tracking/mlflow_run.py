"""The MLflow run of one training job, through databricks-sdk: found or made, written to, ended.

    run = MlflowRun(workspace, experiment="/Shared/governed-finetune-dev", training_job="…", tags={…}, params={…})
    run.open()                      # found by its tag, else made; RUNNING from here on
    run.write([Point(…)], {})       # values and tags
    run.end("FINISHED")

External calls. Each is sent once, with a time limit; the caller repeats what raised `Unavailable` and nothing else.

    lost answer     experiment: found by name when asked again. Run: found by its tag when asked again; of two, everybody
                    takes the one that began first. Values, tags and status: sent again, equal ones change nothing (the
                    hosted service may keep an equal value twice, at the same place of the curve [unverified])
    duplicate       as above: SageMaker starting the job again opens the same run, and the steps since the last
                    checkpoint stand in it twice, with the later time
    time-out        a lost answer
    429, 5xx        `Unavailable` at once, with the pause that the answer names
    expired token   renewed before each call by governance.identity; a 401 all the same is final
    400, 403, 404   final, and said with what to do
    crash before    nothing is there, the next start makes it; after: the next start finds it, its status set to RUNNING

Rights [unverified on a live account]: CAN EDIT on the experiment; on its folder too where it does not exist yet, and
/Shared gives that to everybody unless it was taken away.
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
from steps.governance.identity import Workspace
from steps.governance.once import client_that_sends_once
from steps.governance.refusals import translated

Status = Literal["FINISHED", "FAILED", "KILLED"]
TAG = "governed_finetune."  # in front of each of our tags
MOST_POINTS = 900  # log-batch takes 1,000 values, tags and params together, 100 of them tags [docs of log_batch]

_JOB_TAG = f"{TAG}training_job"
_TIMEOUT_SECONDS = (
    30.0  # an answer takes well below 1 s; a server that is just starting gets the time it needs
)
_MOST_CHARACTERS = 250  # of a tag's value in log-batch [docs of log_batch]
_FINAL = (
    *(databricks.BadRequest, databricks.NotImplemented),
    *(databricks.AlreadyExists, databricks.ResourceAlreadyExists),
)
_JOB_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"
)  # SageMaker's rule; it stands between quotes in a search


@dataclass(frozen=True)
class Point:
    """One value of one metric, with its optimizer step and the epoch milliseconds it was taken at."""

    key: str
    value: float
    step: int
    milliseconds: int


class MlflowRun:
    """The one run of a training job, written as one principal."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        experiment: str,
        training_job: str,
        tags: Mapping[str, str],
        params: Mapping[str, str],
    ) -> None:
        if not _JOB_NAME.fullmatch(training_job):
            raise NameRefused(
                "a training job's name was refused",
                expected=_JOB_NAME.pattern,
                got=repr(training_job),
            )
        self.principal = workspace.principal
        self.id: str | None = None
        self._workspace, self._experiment, self._job = workspace, experiment, training_job
        self._began = milliseconds()
        self._tags, self._params = {_JOB_TAG: training_job, **_prefixed(tags)}, params

    def open(self) -> None:
        """Have the run there, RUNNING, with its parameters; `id` is known from here on.

        Raises:
            AccessDenied: CAN EDIT on the experiment, or on its folder, is missing.
            IdentityRefused: the workspace no longer knows this principal.
            NotFound: the experiment's folder, or the experiment meanwhile, is not there.
            Unavailable: no usable answer; call it again.
        """
        experiment_id = self._experiment_id()
        found = self._first(experiment_id)
        if found is None:
            made = self._create(experiment_id)
            found = (
                self._first(experiment_id) or made
            )  # a search that is behind does not have it yet
        run_id = str(found.info.run_id)
        with self._sent(f"open run {run_id} of {self._experiment}"):
            if found.info.status is not RunInfoStatus.RUNNING:
                self._api.update_run(run_id=run_id, status=UpdateRunStatus.RUNNING)
            params = [Param(key=key, value=value) for key, value in self._params.items()]
            self._api.log_batch(run_id=run_id, params=params)
        self.id = run_id

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
        """Say how the job ended."""
        with self._sent(f"end run {self.id} of {self._experiment}"):
            self._api.update_run(
                run_id=self.id, status=UpdateRunStatus(status), end_time=milliseconds()
            )

    @cached_property
    def _api(self) -> ExperimentsAPI:
        """Made on first use, in the tracking thread."""
        return client_that_sends_once(self._workspace, timeout_seconds=_TIMEOUT_SECONDS).experiments

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
        except Conflict as error:  # another job made it, or our own answer was lost
            raise Unavailable(f"experiment {self._experiment} came to be meanwhile") from error

    def _first(self, experiment_id: str) -> Any:
        """The job's run that began first, or None."""
        with self._sent(f"search experiment {self._experiment}"):
            found = self._api.search_runs(
                experiment_ids=[experiment_id],
                filter=f"tags.`{_JOB_TAG}` = '{self._job}'",
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                max_results=1,
            )
            return next(iter(found), None)

    def _create(self, experiment_id: str) -> Any:
        tags = [RunTag(key=key, value=value) for key, value in self._tags.items()]
        with self._sent(f"create a run in {self._experiment}"):
            return self._api.create_run(
                experiment_id=experiment_id, run_name=self._job, start_time=self._began, tags=tags
            ).run

    @contextmanager
    def _sent(self, doing: str) -> Iterator[None]:
        """Run one call: what is final keeps its meaning and says what to do, all else is `Unavailable`."""
        try:
            with translated(self.principal, doing):
                yield
        except AccessDenied as error:
            raise AccessDenied(
                error.what,
                expected=f"CAN EDIT on the experiment {self._experiment} (on its folder, if it does not exist yet)",
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
    """MLflow's clock: epoch milliseconds."""
    return int(time.time() * 1000)


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {TAG + key: value for key, value in tags.items()}


def _number(value: float) -> Any:
    """JSON has no such numbers, protobuf's JSON has names for them; the hosted service should too [unverified]."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)
