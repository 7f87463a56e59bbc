#!/usr/bin/env bash
# A Spark Connect session that was stopped long ago can end another session of the process, at the
# moment Python's collector frees it.
#
# `SparkSession.__del__` closes the client a second time, and closing a client shuts down the one
# thread pool that all clients of the process share. On most threads that is harmless: the pool is
# forgotten and made again. If the collector happens to run on a thread of that pool, the thread
# would have to wait for itself. The error of that is swallowed, and the pool stays shut down and
# remembered. From then on each action of every other session fails, until one of them is stopped.
# A test suite that opens one session after another met it once in 30 runs.
#
# Here an interceptor collects on the pool's own thread, so that the moment is always the same.
# The old session is in a reference cycle, as a caught exception's traceback makes one.
#
# Observed with pyspark-client 4.0.4, pysail 0.7.2, Python 3.11:
#   freed on the main thread: 1 row
#   freed on a pool thread:   RuntimeError: cannot schedule new futures after shutdown
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pysail==0.7.2 pyspark-client==4.0.4 pyarrow==25.0.1 pandas==3.1.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import gc, os, sys, threading
import grpc
from pysail.spark import SparkConnectServer
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.connect.client import DefaultChannelBuilder

class CollectsOnRelease(grpc.UnaryUnaryClientInterceptor):
    wanted, done = False, threading.Event()

    def intercept_unary_unary(self, continuation, details, request):
        if self.wanted and str(details.method).endswith("ReleaseExecute"):
            gc.collect()
            self.done.set()
        return continuation(details, request)

gc.disable()  # only the collections below
server = SparkConnectServer()
server.start()
address = f"sc://127.0.0.1:{server.listening_address[1]}"

def used_and_stopped():
    session = SparkSession.builder.remote(address).create()
    session.createDataFrame([(1,)], "a int").count()
    session.stop()
    cycle = [session]
    cycle.append(cycle)

def rows(session):
    try:
        return f"{session.createDataFrame([(1,)], 'a int').count()} row"
    except RuntimeError as error:
        return f"RuntimeError: {error}"

used_and_stopped()
interceptor, channel = CollectsOnRelease(), DefaultChannelBuilder(address)
channel.add_interceptor(interceptor)
session = SparkSession.builder.channelBuilder(channel).create()
if sys.argv[1] == "main":
    gc.collect()
else:
    interceptor.wanted = True
rows(session)  # its release frees the old session; it may fail already
if interceptor.wanted:
    interceptor.done.wait(20)
print(rows(session), flush=True)
os._exit(0)
PYTHON
export RUST_LOG=error
main=$("$folder/venv/bin/python" "$folder/try.py" main 2> /dev/null)
pool=$("$folder/venv/bin/python" "$folder/try.py" pool 2> /dev/null)
echo "freed on the main thread: $main"
echo "freed on a pool thread:   $pool"
[[ "$main" == "1 row" &&
   "$pool" == "RuntimeError: cannot schedule new futures after shutdown" ]]
