"""The embedded environment as a whole: its start, its content, and its end.

    running = up(State(Path(".local")), Options(filings))    # its `variables` are conf/local.yaml's
    down(State(Path(".local")))

The order: the AWS stand-in, the workspace, the infrastructure, the base model, the content
of the catalog, and last tracking server and register worker, which import mlflow for seconds and
are not waited for.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from databricks.sdk import WorkspaceClient

from pipeline import layout, register_worker
from pipeline import mirror as mirror_model
from pipeline.configuration import config as configuration
from pipeline.errors import PipelineError, UsageError
from pipeline.local.aws import infrastructure
from pipeline.local.aws.processes import built_image, images
from pipeline.local.aws.saving import is_confirmed
from pipeline.local.host import disk
from pipeline.local.host.processes import Process, stop
from pipeline.local.host.servers import REPOSITORY, Servers
from pipeline.local.host.state import Record, State, choose_ports
from pipeline.local.setup import aws_account, base_model, federation, workspace
from pipeline.local.setup.filings import Filings
from pipeline.local.started import Started

# The supervisor renews the worker's session when it ends, so it need not wait for two minutes
_EXITS_SOON = ("--exit-after-seconds", "5")


@dataclass(frozen=True)
class Options:
    """The options of `up` and `run`."""

    filings: Filings
    engine: str = "sail"
    identity: str = "secret"
    ports: Mapping[str, int | None] = field(default_factory=dict)


@contextmanager
def started(state: State, options: Options) -> Iterator[Started]:
    """Start the servers, or find them running. If the block fails, those that were started here are
    stopped.

    Raises:
        PipelineError: a server did not start, another command holds the folder, or a requested port
            is in use.
    """
    with state.locked():
        record = state.load()
        if record.running:
            _refuse_other_options(state, record, options)
            yield Started(state, Servers(state, record), fresh=False)
            return
        servers = _new_servers(state, record, options)
        model_process = base_model.ModelProcess(state.folder / "base-model")
        try:
            _start(state, servers, model_process, options)
            yield Started(state, servers, fresh=True)
        except BaseException:
            model_process.stop()
            servers.stop()
            raise


def _new_servers(state: State, record: Record, options: Options) -> Servers:
    disk.require_room(state.folder)
    stop(record.processes)  # processes that a killed command left
    ports = choose_ports(record.ports, dict(options.ports))
    return Servers(state, Record(ports, engine=options.engine, identity=options.identity))


def _refuse_other_options(state: State, record: Record, options: Options) -> None:
    moved = [
        name
        for name, port in options.ports.items()
        if port is not None and port != record.ports[name]
    ]
    if moved or (options.engine, options.identity) != (record.engine, record.identity):
        raise UsageError(
            "the environment is already running with other ports, engine or identity\n"
            f"  do        {state.typed('down')}\n            then start it with these options"
        )


def fill(environment: Started, options: Options) -> workspace.Seeded:
    """Fill the catalog; in an environment that ran already, load the filings that were given."""
    administrator = admin(environment.state, environment.servers)
    return workspace.seed(
        administrator, environment.config, filings=options.filings, aws=environment.variables
    )


def complete(environment: Started) -> None:
    """Start the tracking server and the register worker, unless the environment ran already.

    Both import mlflow, which takes seconds, and nothing waits for them here: the workspace waits
    for the tracking server when a client asks it, and the queue keeps messages for the worker.
    """
    if environment.fresh:
        environment.servers.tracking()
        image = environment.config.register.image
        command = images.entry_point(REPOSITORY, image)
        made = built_image.built(REPOSITORY, environment.state.folder.resolve() / "aws", image)
        session = environment.as_role("register") | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        session |= made.variables | environment.config.logging.variables
        environment.servers.worker(
            [*command, *register_worker.arguments(environment.config), *_EXITS_SOON], session
        )
        environment.servers.remember_complete()


def up(state: State, options: Options) -> Started:
    """Start and fill the environment, wait until every server answers, and leave it running.

    Raises:
        PipelineError: a server did not start; all are stopped.
    """
    with started(state, options) as environment:
        fill(environment, options)
        complete(environment)
        environment.servers.ready()
        return environment


def up_empty(state: State, options: Options) -> None:
    """Start the account and the workspace with nothing in them, for `pipeline.bootstrap`.

    Raises UsageError where a whole environment runs already.
    """
    with state.locked():
        record = state.load()
        if record.running:
            raise UsageError(
                f"an environment runs in {state.folder}, and is not empty\n"
                "  do        give another folder with --state"
            )
        servers = _new_servers(state, record, options)
        try:
            _serve(state, servers, options)
        except BaseException:
            servers.stop()
            raise


def down(state: State) -> list[Process]:
    """Stop every server; their state is kept for the next `up`.

    Raises:
        PipelineError: the AWS stand-in could not store its state. All servers are stopped.
    """
    with state.locked():
        record = state.load()
        alive = [process for process in record.processes if process.handle()]
        Servers(state, record).stop()
    if any(process.name == "aws" for process in alive) and not is_confirmed(state.folder / "aws"):
        raise _not_stored(state)
    return alive


def _not_stored(state: State) -> PipelineError:
    return PipelineError(
        "the AWS stand-in was stopped, and could not store all of its state: the next `up` may "
        f"lack buckets, roles, queues, secrets or objects\n  got       "
        f"{disk.free_mib(state.folder)} MiB free in {state.folder}\n  its log   "
        f"{state.log('aws')}\n  do        make room; if the next `up` fails, remove the folder"
    )


def _serve(state: State, servers: Servers, options: Options) -> aws_account.Root:
    """Start the two servers that are an empty account and an empty workspace."""
    servers.aws(options.engine)
    root = aws_account.root(state, servers.url("aws"))
    servers.workspace(
        storage_bucket=aws_account.bucket("governed"),
        external_id=infrastructure.EXTERNAL_ID,
        identity=root.control_plane_key(),
    )
    return root


def _start(
    state: State, servers: Servers, model_process: base_model.ModelProcess, options: Options
) -> None:
    root = _serve(state, servers, options)
    outputs = root.deploy({"DatabricksIdentity": options.identity})
    mirror = model_process.mirror()
    administrator = admin(state, servers)
    if options.identity == "federated":
        principals = federation.principals(administrator, root, public_keys(state))
    else:
        principals = workspace.principals(administrator, root.client("secretsmanager"), "local")
    ids = {f"{name.upper()}_CLIENT_ID": found for name, found in principals.items()}
    servers.remember_variables(
        known(servers, outputs)
        | ids
        | {"BASE_MODEL_REVISION": str(mirror["revision"])}
        | root.public_keys(outputs)
    )
    config = configuration.load("local", environ=servers.record.variables)
    s3 = root.client("s3", role="mirror")
    mirror_model.upload(s3, state.folder / "base-model", mirror, uri=layout.base_model(config))


def addresses(servers: Servers) -> dict[str, str]:
    """Return the variables that follow from the ports."""
    queue = f"{infrastructure.ACCOUNT_ID}/{infrastructure.PREFIX}-register"
    return {
        "AWS_ENDPOINT_URL": servers.url("aws"),
        "AWS_DEFAULT_REGION": aws_account.REGION,
        "AWS_REGION": aws_account.REGION,
        "DATABRICKS_HOST": servers.url("workspace"),
        "PIPELINE_ENV": "local",
        "REGISTER_QUEUE_URL": f"{servers.url('aws')}/{queue}",
    }


def known(servers: Servers, outputs: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that follow from the ports and the layers' outputs."""
    return addresses(servers) | {
        "DATABRICKS_IDENTITY": servers.record.identity,
        "EMR_APPLICATION_ID": outputs["ApplicationId"],
        # The queue's URL has the port of its creation, which may have changed since.
        "REGISTER_QUEUE_URL": servers.url("aws") + urlsplit(outputs["RegisterQueueUrl"]).path,
    }


def public_keys(state: State) -> str:
    """Return the keys of AWS's tokens, which the stand-in writes at its start."""
    path = state.folder / "aws" / "web-identity" / "jwks.json"
    return path.read_text(encoding="utf-8")


def admin(state: State, servers: Servers) -> WorkspaceClient:
    """Return the workspace's administrator."""
    identity = state.secret_document("workspace", "admin.json")
    return WorkspaceClient(
        host=servers.url("workspace"),
        client_id=identity["client_id"],
        client_secret=identity["client_secret"],
        auth_type="oauth-m2m",
    )
