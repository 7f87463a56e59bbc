"""The processes of one job, one per GPU of every host: who this one is, and what they must agree on.

    processes = here()                  what torchrun's variables say; a job of one process has none and does nothing below
    processes.join()                    once, before the first of the calls below
    processes.leader_first(build)       work that each host needs once: its first process does it, then the others
    processes.once_per_host(verify)     the same, but done by that one alone; the others get what it gives
    processes.gather(part)              every process's part, in the order of ranks
    AgreedStop(stop, processes)         the same answer in every process, so all of them stop at the same step

torch is imported by `join`, not before: a job of one process is refused without it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from steps.governance.errors import GovernanceError
from steps.train.stopping import StopSignal

# How long one process waits for the others before it calls them dead. The longest honest wait is for a host's first
# process, which hashes the base and writes the token store: 200 M tokens take 7 minutes on one core.
_PATIENCE = timedelta(hours=1)

T = TypeVar("T")


class PeerFailed(GovernanceError):
    """Another process of this job failed, and says why itself."""


@dataclass(frozen=True)
class Processes:
    """This process among those of the job."""

    rank: int = 0  # among all
    local_rank: int = 0  # among those of this host, which is also the index of its GPU
    count: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process speaks for the job: log lines, files, manifest."""
        return self.rank == 0

    @property
    def is_host_leader(self) -> bool:
        """Whether this process does what its host needs once."""
        return self.local_rank == 0

    def join(self) -> None:
        """Meet the other processes and take this one's GPU. Values travel over gloo, tensors of the GPU over NCCL."""
        if self.count == 1:
            return
        import torch
        from torch import distributed

        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(self.local_rank)
        if not distributed.is_initialized():
            distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_PATIENCE
            )

    def leave(self) -> None:
        """End the connections; without it torch warns of leaks."""
        if self.count > 1:
            from torch import distributed

            if distributed.is_initialized():
                distributed.destroy_process_group()

    def barrier(self) -> None:
        """Wait until all are here."""
        self.any_of(flag=False)

    def any_of(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        if self.count == 1:
            return flag
        import torch
        from torch import distributed

        highest = torch.tensor(int(flag), dtype=torch.int32)
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
        return bool(highest.item())

    def gather(self, part: T) -> list[T]:
        """Every process's part, in the order of ranks."""
        if self.count == 1:
            return [part]
        from torch import distributed

        parts: list[T | None] = [None] * self.count
        distributed.all_gather_object(parts, part)
        return parts  # type: ignore[return-value]  # all are filled

    def total(self, number: int) -> int:
        """The sum over all processes."""
        return sum(self.gather(number))

    def leader_first(self, work: Callable[[], T]) -> T:
        """What `work` gives, done by one process of each host before the others do it.

        Raises:
            PeerFailed: it failed elsewhere. What failed here is raised as it is.
        """
        if self.is_host_leader:
            done = self._together(work)
            self._together(lambda: None)
            return done
        self._together(lambda: None)
        return self._together(work)

    def from_leader(self, work: Callable[[], T]) -> T:
        """What `work` gives in the job's first process; it must be something that can be pickled.

        Raises:
            PeerFailed: it failed there. In that process it is raised as it is.
        """
        done = self._together(lambda: work() if self.is_leader else None)
        if self.count == 1:
            return done  # type: ignore[return-value]  # what `work` gives
        from torch import distributed

        given = [done]
        distributed.broadcast_object_list(given, src=0)
        return given[0]  # type: ignore[return-value]

    def once_per_host(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process of this host; it must be something that can be pickled.

        Raises:
            PeerFailed: it failed elsewhere. What failed here is raised as it is.
        """
        done = self._together(lambda: work() if self.is_host_leader else None)
        return self.gather(done)[self.rank - self.local_rank]  # type: ignore[return-value]  # what `work` gives

    def _together(self, work: Callable[[], T]) -> T:
        """Do it, and end here too if it failed in another process."""
        try:
            done = work()
        except BaseException:
            self.any_of(flag=True)
            raise
        if self.any_of(flag=False):
            raise PeerFailed("another process of this job failed", do="see what it says")
        return done

    def share(self, rows: Sequence[T], at_once: int) -> list[tuple[list[T], bool]]:
        """This process's passes over `rows`, as many as every other process's: the rows of each, and whether they count.

        With a sharded model a pass is a common effort, so a process that has run out of rows repeats one that does not
        count.
        """
        passes = [list(rows[start : start + at_once]) for start in range(0, len(rows), at_once)]
        mine = [(rows, True) for rows in passes[self.rank :: self.count]]
        missing = -(-len(passes) // self.count) - len(mine)
        return mine + [(passes[0], False)] * missing


class AgreedStop(StopSignal):
    """SIGTERM to any process stops all of them, at the same place: each question is put to all at once."""

    def __init__(self, own: StopSignal, processes: Processes) -> None:
        super().__init__()
        self._own, self._processes = own, processes

    def request(self) -> None:
        """Ask the work to end."""
        self._own.request()

    def is_set(self) -> bool:
        """Whether any process was asked to end; every process must ask."""
        return self._processes.any_of(self._own.is_set())


def here(environment: Mapping[str, str] = os.environ) -> Processes:
    """This process, as torchrun's variables describe it."""
    return Processes(
        rank=int(environment.get("RANK", "0")),
        local_rank=int(environment.get("LOCAL_RANK", "0")),
        count=int(environment.get("WORLD_SIZE", "1")),
    )
