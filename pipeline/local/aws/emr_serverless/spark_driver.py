"""The driver of a job run on Sail: a Spark Connect server in this process, then the entry point as
`__main__`.

    python spark_driver.py <entry point> [argument …]

Jobs find the engine by SPARK_REMOTE, as with any Spark Connect server. User-defined functions run
in this process, so they can import the same modules as the job.
"""

import atexit
import os
import runpy
import sys
import threading
from pathlib import Path
from typing import NoReturn


def main() -> None:
    """Start the engine and run the job."""
    # Sail reads its settings when it is imported, those of S3 from these variables only.
    os.environ.setdefault(
        "SAIL_EXECUTION__CHECKPOINT__PATH", Path(os.environ["TMPDIR"], "checkpoints").as_uri()
    )
    os.environ.setdefault("AWS_ENDPOINT", os.environ["AWS_ENDPOINT_URL"])
    os.environ.setdefault("AWS_ALLOW_HTTP", "true")
    # Else Sail's last log lines follow the job's error message
    os.environ.setdefault("RUST_LOG", "error")
    from pysail.spark import SparkConnectServer

    # Without the server the job's client hangs. So this holds the object to the end of the process,
    # and the server stops after the client's threads: those of a session that the job left open
    # still release their results, and repeat that for ten minutes where nobody answers.
    server = SparkConnectServer()
    server.start()
    atexit.register(server.stop)
    _, port = server.listening_address
    os.environ["SPARK_REMOTE"] = f"sc://127.0.0.1:{port}"
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as `python <entry point>` would have it
    _leave(_code_of(sys.argv[0]))


def _code_of(entry_point: str) -> int:
    """Run the entry point and return its exit code; an exception that it raises is not caught."""
    try:
        runpy.run_path(entry_point, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        raise
    return 0


def _leave(code: int) -> NoReturn:
    """End as Python does (`Py_FinalizeEx`), but free no object: a tenth of a small job's time."""
    # Executors end, then other threads are waited for
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()  # logs are written, and the server stops
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
