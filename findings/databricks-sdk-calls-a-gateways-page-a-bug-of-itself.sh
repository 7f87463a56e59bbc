#!/usr/bin/env bash
# databricks-sdk reports a gateway's HTML page as "likely a bug in the Databricks SDK".
#
# Between a job and the workspace are often a proxy, a private-link gateway or a login page. They
# refuse with HTML, not with the workspace's JSON. The SDK raises the type of the status
# (PermissionDenied, NotFound), but the message asks the reader to report a bug of the SDK and of
# the REST API to Databricks; the status is only inside the excerpt below. Who reads the log of a failed
# job looks in the wrong place. A program has to name the status itself, from the type.
#
# Observed with databricks-sdk 0.156.0, Python 3.11: type of the error, whether the message blames
# the SDK, and whether the first line of the message has the status:
#   401 Unauthenticated       blames the SDK True  status in the first line False
#   403 PermissionDenied      blames the SDK True  status in the first line False
#   404 NotFound              blames the SDK True  status in the first line False
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check databricks-sdk==0.156.0 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError

PAGE = b"<html><body><h1>Access blocked by the gateway</h1></body></html>"


class Gateway(BaseHTTPRequestHandler):
    status = 403

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


with HTTPServer(("127.0.0.1", 0), Gateway) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = WorkspaceClient(
        host=f"http://127.0.0.1:{server.server_port}", token="t", auth_type="pat"
    )
    for Gateway.status in (401, 403, 404):
        try:
            client.current_user.me()
        except DatabricksError as error:
            text = str(error)
            blames = "likely a bug in the Databricks SDK" in text
            first = str(Gateway.status) in text.splitlines()[0]
            name = type(error).__name__
            print(f"{Gateway.status} {name:<21} blames the SDK {blames!s:<5} status in the first line {first}")
    server.shutdown()
PYTHON
got=$(env -i PATH="$PATH" HOME="$folder" NO_PROXY=127.0.0.1 "$folder/venv/bin/python" -W ignore "$folder/try.py")
echo "$got"
[[ "$got" == "401 Unauthenticated       blames the SDK True  status in the first line False
403 PermissionDenied      blames the SDK True  status in the first line False
404 NotFound              blames the SDK True  status in the first line False" ]]
