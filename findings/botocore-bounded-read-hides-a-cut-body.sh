#!/usr/bin/env bash
# A bounded read of an S3 object returns a cut body as if it were whole.
#
# A careful reader of small documents bounds what it takes: `body.read(limit + 1)`, and refuses more
# than `limit` bytes. If the connection ends early, that call returns the bytes which came, and does
# not compare their number with Content-Length. `body.read()` on the same answer raises
# ResponseStreamingError. The next bounded read would raise too, but such a reader never makes it. A
# manifest that was cut on its way then looks like one that somebody changed.
#
# Observed with boto3 1.44.5, botocore 1.44.5, urllib3 2.8.0, Python 3.11:
#   Content-Length 1000, 400 bytes sent
#   read():        ResponseStreamingError
#   read(65537):   400 bytes
#   and again:     IncompleteReadError
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    boto3==1.44.5 botocore==1.44.5 urllib3==2.8.0 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import http.server
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 400)  # then the connection ends

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
threading.Thread(target=server.serve_forever, daemon=True).start()
s3 = boto3.client(
    "s3",
    region_name="us-east-1",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    aws_access_key_id="a",
    aws_secret_access_key="b",
    config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
)


def seen(read):
    try:
        return f"{len(read())} bytes"
    except BotoCoreError as error:
        return type(error).__name__


whole = s3.get_object(Bucket="evidence", Key="manifest.json")["Body"]
print("read():       ", seen(whole.read))
body = s3.get_object(Bucket="evidence", Key="manifest.json")["Body"]
print("read(65537):  ", seen(lambda: body.read(65537)))
print("and again:    ", seen(lambda: body.read(65537)))
PYTHON
got=$("$folder/venv/bin/python" "$folder/try.py")
echo "Content-Length 1000, 400 bytes sent"
echo "$got"
[[ "$got" == "read():        ResponseStreamingError
read(65537):   400 bytes
and again:     IncompleteReadError" ]]
