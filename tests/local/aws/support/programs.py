"""The tiny programs that replace the images in these tests, and the repository that holds them."""

from pathlib import Path

DOCKERFILE = (
    'FROM python:3.11\nWORKDIR /opt/governed-finetune\nENTRYPOINT ["python", "-m", "steps.train"]\n'
)
SPARK_DOCKERFILE = (
    "FROM spark\nWORKDIR /opt/governed-finetune\n"
    "COPY containers/prepare/requirements.txt requirements.txt\n"
    "COPY steps/prepare.py steps/prepare.py\n"
)

TRAIN = """
import boto3, json, os, pathlib, signal, sys, time
ml = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
given = json.loads((ml / "input/config/hyperparameters.json").read_text())
do, _, what = given["do"].partition(" ")
print("train begins", sys.argv[1:], flush=True)
if do == "sleep":
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if what == "family":
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "grandchild"])
    print("asleep", flush=True)
    time.sleep(600)
if do == "crash":
    print("one line before"); raise RuntimeError(what)
if do == "die":
    os.kill(os.getpid(), 9)
if do == "fail":
    (ml / "output/failure").write_text(what); sys.exit(3)
if do == "read":
    bucket, _, key = what.partition("/")
    boto3.client("s3").get_object(Bucket=bucket, Key=key)
if do == "once":
    marker = pathlib.Path(what)
    if not marker.exists():
        marker.touch(); sys.exit("the first time it fails")
if do == "resume":
    folder = ml / "checkpoints"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    found = {str(p.relative_to(folder)): p.read_text() for p in files}
    place = "scratch" if (pathlib.Path.home() / "scratch").exists() else "clean"
    print("FOUND " + json.dumps(found), place, flush=True)
    if not found:
        def save(*_):
            (folder / "last").write_text("at the signal"); sys.exit(int(what or 143))
        signal.signal(signal.SIGTERM, signal.SIG_IGN if what == "stubborn" else save)
        (folder / "step-1").mkdir(); (folder / "step-1/state").write_text("one")
        (folder / "step-0").write_text("zero")
        (pathlib.Path.home() / "scratch").write_text("of this instance")
        print("[eval] eval_loss_before=9.5; eval_tokens=9;"); print("asleep", flush=True)
        while not (ml / "go").exists():
            time.sleep(0.02)
        (folder / "step-0").unlink()
        time.sleep(600)
    given["loss"] = "2.0"
if do == "describe":
    print("DESCRIPTION " + json.dumps({
        "environment": sorted(os.environ), "home": os.environ["HOME"],
        "arn": boto3.client("sts").get_caller_identity()["Arn"], "cwd": os.getcwd(),
        "config": {p.name: json.loads(p.read_text()) for p in (ml / "input/config").iterdir()},
        "data": sorted(
            str(p.relative_to(ml)) for p in (ml / "input/data").rglob("*") if p.is_file()
        ),
    }))
for number in range(int(given.get("lines", 0))):
    print(f"line {number}")
print("[eval] eval_loss_before=7.5; eval_tokens=9;")
for loss in ("9.0", given.get("loss", "2.5")):
    print(f"[eval] eval_loss={loss}; eval_tokens=9;")
(ml / "model/adapter.txt").write_text("weights")
(ml / "model/deep").mkdir(); (ml / "model/deep/b.txt").write_text("b")
(ml / "output/data/report.txt").write_text("report")
"""

PREPARE = """
import boto3, os, sys, time
do, _, what = dict(zip(sys.argv[1::2], sys.argv[2::2]))["--do"].partition(" ")
print("prepare begins", flush=True)
if do == "sleep":
    print("asleep", flush=True); time.sleep(600)
if do == "crash":
    raise RuntimeError(what)
if do == "read":
    bucket, _, key = what.partition("/")
    boto3.client("s3").get_object(Bucket=bucket, Key=key)
if do == "spark":
    from pyspark.sql import SparkSession
    from steps.kernel import doubled
    spark = SparkSession.builder.getOrCreate()
    rows = spark.range(3).mapInArrow(doubled, "id long").collect()
    engine = "remote" if "SPARK_REMOTE" in os.environ else "classic"
    print("ROWS", sorted(row.id for row in rows), engine)
if do == "linger":
    import socket, threading
    port = int(os.environ["SPARK_REMOTE"].rpartition(":")[2])
    def late():
        threading.main_thread().join()
        time.sleep(0.5)
        socket.create_connection(("127.0.0.1", port), 2).close()
        print("the engine still listens", flush=True)
    threading.Thread(target=late).start()
"""

KERNEL = """
import pyarrow as pa, pyarrow.compute as pc
def doubled(batches):
    for batch in batches:
        yield pa.RecordBatch.from_arrays([pc.multiply(batch.column(0), 2)], names=["id"])
"""


def make_repository(folder: Path) -> Path:
    """A repository with the two images and the two programs that these tests need."""
    for path, text in {
        "containers/train/Dockerfile": DOCKERFILE,
        "containers/train/requirements.txt": "boto3==1.44.5\n",
        "containers/prepare/Dockerfile": SPARK_DOCKERFILE,
        "containers/prepare/requirements.txt": "polars==1.0.0\n",
        "steps/train.py": TRAIN,
        "steps/prepare.py": PREPARE,
        "steps/kernel.py": KERNEL,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder
