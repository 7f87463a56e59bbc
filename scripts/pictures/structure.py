"""What the picture of the architecture shows: boxes, frames and arrows, with their places.

`drawing.py` draws it. Numbers are pixels of a canvas of WIDTH × HEIGHT. An arrow is a list of
points; the first and the last one touch a box or a frame (a test checks it).
"""

from dataclasses import dataclass

WIDTH, HEIGHT = 1210, 648


@dataclass(frozen=True)
class Box:
    """A part: its name and what it is, in short lines. A frame groups others and has no lines."""

    name: str
    at: tuple[int, int, int, int]  # x, y, width, height
    kind: str  # step, store, key, person or frame
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """What passes from one part to another; `kind` is read, write, sign or control."""

    points: tuple[tuple[int, int], ...]
    kind: str
    label: str = ""
    label_at: tuple[int, int] = (0, 0)
    anchor: str = "start"


FRAMES = (
    Box("S3 evidence bucket: written once, locked, versioned", (196, 108, 800, 96), "frame"),
    Box("SageMaker Pipelines", (166, 248, 846, 118), "frame"),
    Box("Unity Catalog", (166, 420, 330, 108), "frame"),
    Box("Unity Catalog", (716, 420, 296, 108), "frame"),
    Box("S3", (166, 556, 846, 78), "frame"),
    Box("KMS", (1052, 16, 146, 350), "frame"),
)
PEOPLE = (
    Box("auditor", (400, 16, 230, 56), "person",
        ("recomputes every claim of evidence,", "tables, jobs and model versions")),
    Box("approver", (796, 16, 176, 56), "person",
        ("moves protected aliases;", "not who started it")),
    Box("data scientist", (12, 276, 126, 74), "person",
        ("starts, follows,", "compares; has no", "right to write data")),
)  # fmt: skip
STEPS = (
    Box("1 Prepare", (196, 276, 184, 74), "step",
        ("EMR Serverless, Spark:", "filings → examples;", "checks rights first")),
    Box("2 Train", (426, 276, 184, 74), "step",
        ("training job, GPU:", "LoRA on FP8, verified", "data and base model")),
    Box("3 Gate", (646, 276, 120, 74), "step", ("eval loss", "≤ MaxEvalLoss,", "else Rejected")),
    Box("4 Register", (806, 276, 190, 74), "step",
        ("queue, worker:", "verifies what the steps", "claim, then registers")),
)  # fmt: skip
EVIDENCE = (
    Box("manifest", (206, 134, 164, 58), "store",
        ("raw version, counts,", "files, rejected by reason")),
    Box("manifest", (436, 134, 164, 58), "store",
        ("base model, losses,", "precision, adapter files")),
    Box("approvals", (676, 134, 116, 58), "store", ("who, when, why",)),
    Box("record, ledger", (816, 134, 170, 58), "store",
        ("facts of all steps; each", "entry names the last")),
)  # fmt: skip
STORES = (
    Box("raw table", (180, 450, 126, 62), "store", ("filings,", "one version")),
    Box("curated table", (326, 450, 156, 62), "store",
        ("examples of this", "execution, one commit")),
    Box("model version", (730, 450, 130, 62), "store", ("adapter, alias,", "tags")),
    Box("lineage", (878, 450, 120, 62), "store", ("raw → job → … →", "version, by column")),
    Box("governed bucket", (180, 582, 302, 42), "store",
        ("reached with keys that Unity Catalog vends",)),
    Box("artifacts bucket", (506, 582, 490, 42), "store",
        ("base models (each file’s sha256), checkpoints, model archives",)),
    Box("approval key", (1064, 42, 122, 56), "key", ("only approvers", "sign with it")),
    Box("register key", (1064, 284, 122, 56), "key", ("only Register", "signs with it")),
)  # fmt: skip
BOXES = PEOPLE + STEPS + EVIDENCE + STORES
ARROWS = (
    Arrow(((138, 313), (166, 313)), "control"),
    Arrow(((380, 313), (426, 313)), "control"),
    Arrow(((610, 313), (646, 313)), "control"),
    Arrow(((766, 313), (806, 313)), "control"),
    Arrow(((515, 108), (515, 72)), "read", "reads all, changes nothing", (523, 95)),
    Arrow(((884, 72), (884, 92), (734, 92), (734, 134)), "write"),
    Arrow(((972, 58), (1064, 58)), "sign"),
    Arrow(((340, 276), (340, 192)), "write", "writes once", (348, 238)),
    Arrow(((518, 276), (518, 192)), "write", "writes once", (526, 238)),
    Arrow(((901, 276), (901, 192)), "write", "writes once, signed", (893, 238), "end"),
    Arrow(((996, 312), (1064, 312)), "sign"),
    Arrow(((286, 450), (286, 350)), "read", "reads", (280, 400), "end"),
    Arrow(((366, 350), (366, 450)), "write", "appends", (360, 400), "end"),
    Arrow(((456, 450), (456, 350)), "read", "reads", (450, 400), "end"),
    Arrow(((544, 582), (544, 350)), "read", "base model", (538, 400), "end"),
    Arrow(((588, 350), (588, 582)), "write", "archive", (596, 400)),
    Arrow(((680, 582), (680, 393), (826, 393), (826, 350)), "read", "archive, pinned", (692, 387)),
    Arrow(((848, 350), (848, 450)), "write"),
    Arrow(((938, 350), (938, 450)), "write", "creates", (932, 400), "end"),
    Arrow(((331, 528), (331, 582)), "control", "vends keys for one table", (339, 548)),
)
LEGEND = (
    ("read", "reads"),
    ("write", "writes"),
    ("sign", "signs"),
    ("control", "starts, vends keys"),
)
