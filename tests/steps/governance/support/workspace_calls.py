"""An effect and a read of a workspace, and the answers that a healthy workspace gives."""

from databricks.sdk.service.catalog import DataSourceFormat, TableOperation, TableType

from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import translated

NAME = UcName.parse("edgar.raw.filings")
TABLE = (
    '{"table_id": "1", "storage_location": "s3://b/raw", "data_source_format": "DELTA", '
    '"full_name": "a.b.c"}'
)
VENDED = (
    '{"aws_temp_credentials": {"access_key_id": "a", "secret_access_key": "s", '
    '"session_token": "t"},'
    ' "expiration_time": 1900000000000}'
)


def create_table(workspace: Workspace) -> object:
    kind, form = TableType.EXTERNAL, DataSourceFormat.DELTA
    with translated("p", "create a table"):
        return workspace.client.tables.create("n", "c", "s", kind, form, "s3://b/x")


def vend(workspace: Workspace) -> object:
    api = workspace.client.temporary_table_credentials
    with translated("p", "vend"):
        return api.generate_temporary_table_credentials(operation=TableOperation.READ, table_id="1")
