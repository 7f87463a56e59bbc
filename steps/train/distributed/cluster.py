"""Read the hosts of this job and their network from SageMaker's `resourceconfig.json`.

    cluster = read(paths.root / "input" / "config" / "resourceconfig.json")
    environment(cluster)      variables for NCCL and libfabric on these hosts

The facts of AWS are here: the instances with EFA (Elastic Fabric Adapter, AWS's network for
collective operations), and those whose network card can read GPU memory.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from steps.governance.errors import UsageError

# Source: EC2 User Guide, "Elastic Fabric Adapter", supported instance types; to check, run
# `aws ec2 describe-instance-types --filters Name=network-info.efa-supported,Values=true`.
# [unverified: no account here]
_EFA = frozenset(
    {"ml.g5.8xlarge", "ml.g5.12xlarge", "ml.g5.16xlarge", "ml.g5.24xlarge", "ml.g5.48xlarge"}
    | {"ml.g6.8xlarge", "ml.g6.12xlarge", "ml.g6.16xlarge", "ml.g6.24xlarge", "ml.g6.48xlarge"}
    | {"ml.g6e.8xlarge", "ml.g6e.12xlarge", "ml.g6e.16xlarge", "ml.g6e.24xlarge", "ml.g6e.48xlarge"}
    | {"ml.p4d.24xlarge", "ml.p4de.24xlarge"}
    | {"ml.p5.48xlarge", "ml.p5e.48xlarge", "ml.p5en.48xlarge"}
    | {"ml.g7e.8xlarge", "ml.g7e.12xlarge", "ml.g7e.24xlarge", "ml.g7e.48xlarge"}
    | {"ml.p6-b200.48xlarge", "ml.p6-b300.48xlarge"}
)
# Prefixes of instance types with GPUDirect RDMA: EFA reads GPU memory directly. g5 does not support
# it, and requesting it there ends the job at its first collective operation. [unverified]
_DEVICE_RDMA = ("ml.p4d.", "ml.p4de.", "ml.p5.", "ml.p5e.", "ml.p5en.", "ml.p6-b")


@dataclass(frozen=True)
class Cluster:
    """The hosts of this job. They reach each other by these names.

    Attributes:
        current_host: this host.
        hosts: all hosts, sorted.
        interface: the network interface for NCCL and gloo.
        instance_type: such as ml.p4d.24xlarge.
    """

    current_host: str
    hosts: tuple[str, ...]
    interface: str | None = None
    instance_type: str | None = None

    @property
    def first_host(self) -> str:
        """The host of the rendezvous."""
        return self.hosts[0]


SINGLE_HOST = Cluster("localhost", ("localhost",))


def read(path: Path) -> Cluster:
    """Read SageMaker's file. Without it, the job has a single host.

    Raises:
        UsageError: the file exists but is not valid.
    """
    if not path.exists():
        return SINGLE_HOST
    try:
        content = json.loads(path.read_bytes())
        cluster = Cluster(
            content["current_host"],
            tuple(sorted(content["hosts"])),
            content.get("network_interface_name"),
            content.get("current_instance_type"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(path, f"{type(error).__name__}: {error}") from None
    if cluster.current_host not in cluster.hosts:
        raise _invalid(path, f"host {cluster.current_host} among {', '.join(cluster.hosts)}")
    return cluster


def environment(cluster: Cluster) -> dict[str, str]:
    """Return environment variables for NCCL and libfabric.

    A single host needs none: its GPUs communicate over NVLink or PCIe.
    """
    if len(cluster.hosts) == 1:
        return {}
    variables = {"NCCL_DEBUG": "WARN"}
    if cluster.interface:
        # NCCL and gloo connect over this interface; NCCL's data uses EFA if there is one.
        variables["NCCL_SOCKET_IFNAME"] = cluster.interface
        variables["GLOO_SOCKET_IFNAME"] = cluster.interface
    if cluster.instance_type in _EFA:
        variables["FI_PROVIDER"] = "efa"
    if (cluster.instance_type or "").startswith(_DEVICE_RDMA):
        variables["FI_EFA_USE_DEVICE_RDMA"] = "1"
    return variables


def _invalid(path: Path, got: str) -> UsageError:
    return UsageError(
        f"{path.name} cannot be used",
        expected="current_host, hosts and network_interface_name, as SageMaker writes them",
        got=got[:300],
        do="run this in a training job, or remove the file: then this host is alone",
    )
