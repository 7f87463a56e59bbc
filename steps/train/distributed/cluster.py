"""The hosts of this job and the network between them, as SageMaker describes them in `resourceconfig.json`.

    cluster = read(paths.root / "input" / "config" / "resourceconfig.json")
    environment(cluster)      what NCCL and libfabric must be told on these hosts

Which instances have EFA, and which of them let the network card read GPU memory, are facts of AWS and stand here once.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from steps.governance.errors import UsageError

# Source: EC2 User Guide, "Elastic Fabric Adapter", supported instance types; checked by
# `aws ec2 describe-instance-types --filters Name=network-info.efa-supported,Values=true`. [unverified: no account here]
_EFA = frozenset(
    {"ml.g5.8xlarge", "ml.g5.12xlarge", "ml.g5.16xlarge", "ml.g5.24xlarge", "ml.g5.48xlarge"}
    | {"ml.g6.8xlarge", "ml.g6.12xlarge", "ml.g6.16xlarge", "ml.g6.24xlarge", "ml.g6.48xlarge"}
    | {"ml.g6e.8xlarge", "ml.g6e.12xlarge", "ml.g6e.16xlarge", "ml.g6e.24xlarge", "ml.g6e.48xlarge"}
    | {
        "ml.p4d.24xlarge",
        "ml.p4de.24xlarge",
        "ml.p5.48xlarge",
        "ml.p5e.48xlarge",
        "ml.p5en.48xlarge",
    }
)
# GPUDirect RDMA. On g5 there is no such read, and asking for it ends the job at its first collective. [unverified]
_DEVICE_RDMA = ("ml.p4d.", "ml.p4de.", "ml.p5.", "ml.p5e.", "ml.p5en.")


@dataclass(frozen=True)
class Cluster:
    """This host among the job's hosts; names are such that the hosts can reach each other by them."""

    current_host: str
    hosts: tuple[str, ...]
    interface: str | None = None
    instance_type: str | None = None

    @property
    def first_host(self) -> str:
        """Where the processes meet."""
        return self.hosts[0]


ALONE = Cluster("localhost", ("localhost",))


def read(path: Path) -> Cluster:
    """What SageMaker wrote; without the file this host is alone.

    Raises:
        UsageError: the file is there and cannot be understood.
    """
    if not path.exists():
        return ALONE
    try:
        content = json.loads(path.read_bytes())
        cluster = Cluster(
            content["current_host"],
            tuple(sorted(content["hosts"])),
            content.get("network_interface_name"),
            content.get("current_instance_type"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from None
    if cluster.current_host not in cluster.hosts:
        raise _unusable(path, f"host {cluster.current_host} among {', '.join(cluster.hosts)}")
    return cluster


def environment(cluster: Cluster) -> dict[str, str]:
    """Variables for NCCL and libfabric. A single host needs none: its GPUs speak over NVLink or PCIe."""
    if len(cluster.hosts) == 1:
        return {}
    told = {"NCCL_DEBUG": "WARN"}
    if (
        cluster.interface
    ):  # where NCCL and gloo find each other; the data goes over EFA where there is one
        told |= {"NCCL_SOCKET_IFNAME": cluster.interface, "GLOO_SOCKET_IFNAME": cluster.interface}
    if cluster.instance_type in _EFA:
        told["FI_PROVIDER"] = "efa"
    if (cluster.instance_type or "").startswith(_DEVICE_RDMA):
        told["FI_EFA_USE_DEVICE_RDMA"] = "1"
    return told


def _unusable(path: Path, got: str) -> UsageError:
    return UsageError(
        f"{path.name} cannot be used",
        expected="current_host, hosts and network_interface_name, as SageMaker writes them",
        got=got[:300],
        do="run this in a training job, or remove the file: then this host is alone",
    )
