#!/usr/bin/env bash
# deltalake's file handler keeps Python's lock while the object store is repeated.
#
# Opening a table releases the lock, so other threads run while object_store repeats a 503. Opening
# a file by `deltalake.fs.DeltaStorageHandler` keeps it, for all repetitions: 180 s by default. No
# other thread runs and no signal is handled meanwhile. A job that gets SIGTERM then cannot end, and
# a heartbeat in a thread stops.
#
# Observed with deltalake 1.6.6, pyarrow 25.0.1, Python 3.11; a store that answers 503 to everything,
# retry_timeout 3 s, a thread that counts every 0.05 s:
#   open a table:  other threads ran
#   open a file:   other threads stood still
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    deltalake==1.6.6 pyarrow==25.0.1 2> /dev/null
cat > "$folder/store.py" <<'PYTHON'
import http.server


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
cat > "$folder/try.py" <<'PYTHON'
import subprocess
import sys
import threading
import time

from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

store = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE, text=True)
options = {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.stdout.readline().strip()}",
    "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "retry_timeout": "3s",
    "max_retries": "1000",
    "backoff_config.max_backoff": "1s",
}
count = 0


def counting():
    global count
    while True:
        count += 1
        time.sleep(0.05)


threading.Thread(target=counting, daemon=True).start()


def others(act):
    before = count
    try:
        act()
    except OSError as error:
        assert "503 Service Unavailable" in str(error), error
    return "ran" if count - before > 10 else "stood still"


print("open a table:  other threads", others(lambda: DeltaTable("s3://b/t", storage_options=options)))
files = PyFileSystem(DeltaStorageHandler("s3://b/t", options))
print("open a file:   other threads", others(lambda: files.open_input_file("a.parquet")))
store.terminate()
PYTHON
got=$("$folder/venv/bin/python" "$folder/try.py" "$folder/store.py")
"$folder/venv/bin/pip" list --disable-pip-version-check 2> /dev/null | grep -E "^(deltalake|pyarrow) "
echo "$got"
[[ "$got" == "open a table:  other threads ran
open a file:   other threads stood still" ]]
