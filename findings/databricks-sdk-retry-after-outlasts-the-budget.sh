#!/usr/bin/env bash
# databricks-sdk sleeps for the whole Retry-After, even if `retry_timeout_seconds` is smaller.
#
# `Config(retry_timeout_seconds=2)` suggests that a call ends after about two seconds. But the
# deadline is only checked before an attempt, and the pause before the next attempt is the one that
# the server requests. A server that answers 429 with `Retry-After: 9` therefore delays the caller
# by nine seconds; then the call ends without another attempt. The script also shows which statuses
# a read retries: 503 and 429, but not 500, 502 and 504.
#
# Observed with databricks-sdk 0.156.0, Python 3.11:
#   budget 2 s, Retry-After 9 s: the call took 9 s (10 s on a busy machine), 1 request
#   500: 1 request   502: 1 request   504: 1 request   503: 2 requests
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check databricks-sdk==0.156.0 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.errors import DatabricksError

script, asked = [], []

class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/api/"):
            asked.append(self.path)
            status, headers = script.pop(0) if script else (200, {})
        else:
            status, headers = 404, {}
        body = json.dumps({"error_code": "X", "message": "x"} if status != 200 else {"name": "a", "catalog_name": "b"}).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = WorkspaceClient(config=Config(
    host=f"http://127.0.0.1:{server.server_port}", token="t", auth_type="pat", retry_timeout_seconds=2,
))

def call(answers):
    script[:], asked[:] = answers, []
    began = time.monotonic()
    try:
        client.schemas.get("b.a")
    except (DatabricksError, TimeoutError):
        pass
    return round(time.monotonic() - began), len(asked)

took, requests = call([(429, {"Retry-After": "9"})])
print(f"budget 2 s, Retry-After 9 s: the call took {took} s, {requests} request{'s' * (requests > 1)}")
counts = {status: call([(status, {})])[1] for status in (500, 502, 504, 503)}
print("   ".join(f"{status}: {count} request{'s' * (count > 1)}" for status, count in counts.items()))
sys.exit(0 if took >= 9 and requests == 1 and counts == {500: 1, 502: 1, 504: 1, 503: 2} else 1)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
