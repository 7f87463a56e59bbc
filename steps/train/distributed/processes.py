"""The processes of one job, one per GPU of every host, and what they exchange.

    group = here()                  this process, from torchrun's environment variables
    group.join()                    once, before the first of the calls below
    group.leader_first(build)       one process of each host runs `build` before the others do
    group.once_per_host(verify)     one process of each host runs `verify`; all get its result
    group.from_leader(read)         the first process of the job runs `read`; all get its result
    group.gather(part)              the parts of all processes, in the order of ranks
    AgreedStop(stop, group)         a stop signal with the same value in every process

In a job of one process these calls exchange nothing. `join` is the first to import torch, so a job
of one process can be refused without it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from steps.governance.errors import GovernanceError
from steps.train.stopping import StopSignal

# How long a process waits for the others. The longest regular wait is for a host's first process,
# which hashes the base model and writes the token store: 200 M tokens take 7 minutes on one core.
_TIMEOUT = timedelta(hours=1)

T = TypeVar("T")


class PeerFailed(GovernanceError):
    """Another process of this job failed and reports the reason itself."""


@dataclass(frozen=True)
class Processes:
    """The processes of a job, as one of them.

    Attributes:
        rank: of this process among all.
        local_rank: of this process among those of its host; also the index of its GPU.
        count: processes of the job.
    """

    rank: int = 0
    local_rank: int = 0
    count: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process writes log lines, files and manifest for the job."""
        return self.rank == 0

    @property
    def is_host_leader(self) -> bool:
        """Whether this process does the work that its host needs once."""
        return self.local_rank == 0

    def join(self) -> None:
        """Connect to the other processes and select this process's GPU.

        Python values travel over gloo, GPU tensors over NCCL.
        """
        if self.count == 1:
            return
        import torch
        from torch import distributed

        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(self.local_rank)
        if not distributed.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
            distributed.init_process_group(backend, timeout=_TIMEOUT)

    def leave(self) -> None:
        """Close the connections; otherwise torch warns of a leak."""
        if self.count > 1:
            from torch import distributed

            if distributed.is_initialized():
                distributed.destroy_process_group()

    def any_of(self, flag: bool) -> bool:
        """Return whether `flag` is true in any process."""
        if self.count == 1:
            return flag
        import torch
        from torch import distributed

        highest = torch.tensor(int(flag), dtype=torch.int32)
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
        return bool(highest.item())

    def gather(self, part: T) -> list[T]:
        """Return the parts of all processes, in the order of ranks."""
        if self.count == 1:
            return [part]
        from torch import distributed

        parts: list[T | None] = [None] * self.count
        distributed.all_gather_object(parts, part)
        return parts  # type: ignore[return-value]  # all are filled

    def leader_first(self, work: Callable[[], T]) -> T:
        """Run `work` in the first process of each host, then in the others. Return its result.

        Raises:
            PeerFailed: it failed in another process. Errors of this process are raised unchanged.
        """
        if self.is_host_leader:
            done = self._together(work)
            self._together(lambda: None)
            return done
        self._together(lambda: None)
        return self._together(work)

    def from_leader(self, work: Callable[[], T]) -> T:
        """Run `work` in the first process of the job, and return its result in all.

        The result must be picklable.

        Raises:
            PeerFailed: it failed there. In that process its error is raised unchanged.
        """
        done = self._together(lambda: work() if self.is_leader else None)
        if self.count == 1:
            return done  # type: ignore[return-value]  # the result of `work`
        from torch import distributed

        results = [done]
        distributed.broadcast_object_list(results, src=0)
        return results[0]  # type: ignore[return-value]

    def once_per_host(self, work: Callable[[], T]) -> T:
        """Run `work` in the first process of each host, and return its result in all of the host.

        The result must be picklable.

        Raises:
            PeerFailed: it failed in another process. Errors of this process are raised unchanged.
        """
        done = self._together(lambda: work() if self.is_host_leader else None)
        host_leader = self.rank - self.local_rank
        return self.gather(done)[host_leader]  # type: ignore[return-value]  # the result of `work`

    def _together(self, work: Callable[[], T]) -> T:
        """Run `work`, and raise if it failed in any process."""
        try:
            done = work()
        except BaseException:
            self.any_of(flag=True)
            raise
        if self.any_of(flag=False):
            raise PeerFailed("another process of this job failed", do="see the log of that process")
        return done

    def share(self, rows: Sequence[T], at_once: int) -> list[tuple[list[T], bool]]:
        """Return this process's passes over `rows`, and whether each of them counts.

        Every process gets the same number of passes, because all processes must take part in each
        pass of a sharded model. A process without rows left repeats a pass that does not count.

        Args:
            rows: all rows of the job.
            at_once: rows of a pass.
        """
        passes = [list(rows[start : start + at_once]) for start in range(0, len(rows), at_once)]
        mine = [(rows, True) for rows in passes[self.rank :: self.count]]
        missing = -(-len(passes) // self.count) - len(mine)
        return mine + [(passes[0], False)] * missing


class AgreedStop(StopSignal):
    """A stop signal that is set in all processes if any of them received SIGTERM.

    Every process must query it at the same points, so that all stop after the same step.
    """

    def __init__(self, own: StopSignal, processes: Processes) -> None:
        super().__init__()
        self._own, self._processes = own, processes

    def request(self) -> None:
        """Request the job to stop."""
        self._own.request()

    def is_set(self) -> bool:
        """Return whether any process was requested to stop. Every process must call this."""
        return self._processes.any_of(self._own.is_set())


def here(environment: Mapping[str, str] = os.environ) -> Processes:
    """Return the processes of this job, from torchrun's environment variables."""
    return Processes(
        rank=int(environment.get("RANK", "0")),
        local_rank=int(environment.get("LOCAL_RANK", "0")),
        count=int(environment.get("WORLD_SIZE", "1")),
    )
