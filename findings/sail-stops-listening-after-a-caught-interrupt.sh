#!/usr/bin/env bash
# After Ctrl-C, which Python catches, Sail's server in the same process stops listening, but
# `running` stays True.
#
# A notebook or a test runs `SparkConnectServer().start()` in its own process and connects a client
# to it. The user presses Ctrl-C, and Python catches the KeyboardInterrupt and continues. From then
# on the server's port refuses connections, while `server.running` is True and
# `server.listening_address` still gives the port. Spark Connect's client takes the refusal for a
# passing fault, and its default policy repeats the next action for about ten minutes. Without a
# client the server survives the same Ctrl-C. A test suite that runs its files in several worker
# processes met this as a hang: another file sent the SIGINT.
#
# Observed with pysail 0.7.2, pyspark-client 4.0.4, Python 3.11:
#   no client:   interrupted, port open: True, running: True
#   one client:  interrupted, port open: False, running: True
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pysail==0.7.2 pyspark-client==4.0.4 pyarrow==25.0.1 pandas==3.1.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import os, signal, socket, sys, time
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer()
server.start()
address = server.listening_address
if sys.argv[1] == "client":
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{address[1]}").getOrCreate()
    assert session.createDataFrame([(1,)], "a int").count() == 1
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
    seen = "not interrupted"
except KeyboardInterrupt:
    seen = "interrupted"
time.sleep(2)
try:
    socket.create_connection(address, 2).close()
    is_open = True
except ConnectionRefusedError:
    is_open = False
print(f"{seen}, port open: {is_open}, running: {server.running}", flush=True)
os._exit(0)  # a client whose server is gone may wait at the end of the process
PYTHON
export RUST_LOG=error
alone=$("$folder/venv/bin/python" "$folder/try.py" alone)
client=$("$folder/venv/bin/python" "$folder/try.py" client)
echo "no client:   $alone"
echo "one client:  $client"
[[ "$alone" == "interrupted, port open: True, running: True" &&
   "$client" == "interrupted, port open: False, running: True" ]]
