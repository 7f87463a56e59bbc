"""The house rules that a program can check: sizes, folders, docstrings and plain English."""

import ast
import io
import re
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE_LINES, TEST_FILE_LINES = 250, 350
FUNCTION_LINES = 40
ARGUMENTS = 5
FILES_IN_A_FOLDER = 16
LINE_CHARACTERS = 100

# Phrases that make a reader stop and read again, each with what to write instead.
PLAIN = {
    "tell|tells|told|telling": "pass, report, name, log",
    "say|says|said|saying": "log, return, report, state",
    "stand|stands|stood": "is, is stored, appears",
    "is no|are no|was no|is none|are none|has none|have none": "is not a, there is no",
    "is nothing|are nothing|that none": "is empty, there is no",
    "whoever|whatever|whichever|whomever": "any, each, the caller",
    "anew|afresh|once more": "again",
    "alike|all the same|at all": "the same way, still",
    "hear|hears|heard": "receive, notice",
    "lie|lies|lay": "is stored, is in",
    "mend|mends|mended": "repair, fix",
    "goes on|go on|went on": "continue",
    "of its own|on its own": "separate, its own",
    "for good|for ever|on purpose": "permanently, deliberately",
    "beside|thus|hence|thereby": "next to, so",
}
STYLISED = re.compile(rf"(?<![\w-])(?:{'|'.join(PLAIN)})(?![\w-])".replace(" ", r"\s+"))
# A name says what a thing is or does.
SPOKEN = {"told", "tell", "tells", "said", "say", "says", "heard", "hear", "ask", "asks", "mended"}

# Quotations of filings, of the prompt's fixed text and of rules that read filings.
QUOTED = re.compile(
    "nothing that it does not say|no operations of its own|of this kind are alike"
    r"|consequently\|thus|There are no material changes"
)
# What Jinja evaluates is code.
TEMPLATE_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
# Functions whose signature torch or transformers prescribes.
PRESCRIBED = frozenset(
    {
        "steps/train/model/fp8_linear.py::forward",
        "steps/train/model/packed_attention.py::packed_attention",
        # A Triton kernel takes each tensor as a pointer, and sizes and blocks as numbers
        "steps/train/model/fused/kernels/sources.py::gated_gradient",
        "steps/train/model/fused/kernels/sources.py::quantized_rows",
        "steps/train/model/fused/kernels/sources.py::rotated",
    }
)
# mlflow stores this one file with each model version; decision 006 gives the reason for one.
WHOLE = frozenset({"steps/register/package/serving.py"})


@dataclass(frozen=True)
class Source:
    """One tracked text file of the repository."""

    path: str

    @cached_property
    def text(self) -> str:
        """The file's content."""
        return (ROOT / self.path).read_text()

    @cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree; Python files only."""
        return ast.parse(self.text)

    @property
    def is_test(self) -> bool:
        """Whether the file belongs to the tests."""
        return self.path.startswith("tests/")


@cache
def sources(*endings: str) -> tuple[Source, ...]:
    """All files with one of these endings that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = [path for path in sorted(set(listed.splitlines())) if path.endswith(endings)]
    return tuple(Source(path) for path in wanted if (ROOT / path).is_file())


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_too_long() -> None:
    limits = {True: TEST_FILE_LINES, False: FILE_LINES}
    found = {source.path: source.text.count("\n") for source in sources(".py")}
    too_long = {
        path: lines
        for path, lines in found.items()
        if lines > limits[path.startswith("tests/")] and path not in WHOLE
    }
    assert too_long == {}


def test_no_function_is_too_long() -> None:
    too_long = {
        f"{source.path}::{node.name}": lines
        for source in sources(".py")
        for node in functions(source)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert too_long == {}


def test_no_function_takes_too_many_arguments() -> None:
    too_many = {
        name: count
        for source in sources(".py")
        if not source.is_test
        for node in functions(source)
        if (count := _arguments(node)) > ARGUMENTS
        and (name := f"{source.path}::{node.name}") not in PRESCRIBED
    }
    assert too_many == {}


def test_no_folder_holds_too_many_files() -> None:
    count = Counter(str(Path(source.path).parent) for source in sources(".py", ".sh", ".jinja"))
    del count["findings"]  # a list that only grows, one finding a file
    crowded = {folder: files for folder, files in count.items() if files > FILES_IN_A_FOLDER}
    assert crowded == {}


def test_no_line_is_too_long() -> None:
    too_long = [
        f"{source.path}:{number}"
        for source in sources(".py")
        for number, line in enumerate(source.text.splitlines(), 1)
        if len(line) > LINE_CHARACTERS
    ]
    assert too_long == []


def test_every_public_name_of_the_product_has_a_docstring() -> None:
    missing = [
        f"{source.path}::{name}"
        for source in sources(".py")
        if source.path.startswith(("pipeline/", "steps/", "scripts/")) and source.text
        for name in _without_docstring(source.tree)
    ]
    assert missing == []


def test_prose_is_plain_english() -> None:
    found = [
        f"{source.path}:{line}: {phrase!r}, write: {_instead(phrase)}"
        for source in sources(".py", ".md", ".yaml", ".cfg", ".toml", ".jinja")
        if source.path != "tests/test_house_rules.py"
        for line, phrase in _stylised(source)
    ]
    assert found == [], "\n".join(found)


def test_names_are_plain_english() -> None:
    found = [
        f"{source.path}:{line}: {name}"
        for source in sources(".py")
        for line, name in _names(source.tree)
        if SPOKEN & set(re.split(r"_|(?<=[a-z])(?=[A-Z])", name.lower()))
    ]
    assert found == [], "\n".join(found)


def test_every_python_file_has_its_ending() -> None:
    found = [
        source.path
        for source in sources("")
        if "." not in Path(source.path).name and "python" in source.text.partition("\n")[0]
    ]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ('"""What the worker is told."""', ["told"]),
        ("x = 1  # there\n# it stands\n", ["stands"]),
        ('f"{x} says {y}"', ["says"]),
        ('"""This is\n    no list."""', ["is\n    no"]),
        ("told = is_no = None", []),
        ('"""The standard retries understand finite numbers."""', []),
    ],
)
def test_the_word_list_reads_docstrings_comments_and_messages(
    text: str, phrases: list[str]
) -> None:
    assert [match.group() for part in _prose_of_python(text) for match in part[1]] == phrases


def test_no_server_holds_the_second_write_of_an_answer_back() -> None:
    """Headers and body are two writes. With Nagle's algorithm the body of each answer on a kept
    connection comes 40 ms later: the fault campaigns waited for minutes.
    """
    slow = [
        f"{source.path}:{node.lineno}"
        for source in sources(".py")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        and "BaseHTTPRequestHandler" in map(ast.unparse, node.bases)
        if "protocol_version = 'HTTP/1.1'" in map(ast.unparse, node.body)
        and "disable_nagle_algorithm = True" not in map(ast.unparse, node.body)
    ]
    assert slow == []


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    parts = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([part for part in parts if part.arg not in ("self", "cls")])


def _without_docstring(tree: ast.Module) -> Iterator[str]:
    if not ast.get_docstring(tree):
        yield "(module)"
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in _methods_without_docstring(node))


def _methods_without_docstring(node: ast.ClassDef) -> list[str]:
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return [
        each.name
        for each in methods
        if not each.name.startswith("_") and not ast.get_docstring(each)
    ]


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def _stylised(source: Source) -> Iterator[tuple[int, str]]:
    text = QUOTED.sub("", source.text)
    whole = [(1, list(STYLISED.finditer(TEMPLATE_CODE.sub("", text))))]
    parts = _prose_of_python(text) if source.path.endswith(".py") else whole
    for line, matches in parts:
        for match in matches:
            yield line + match.string.count("\n", 0, match.start()), match.group()


def _prose_of_python(text: str) -> Iterator[tuple[int, list[re.Match[str]]]]:
    """Docstrings, comments and strings, each with its first line and the stylised phrases in it."""
    # From Python 3.12 on, an f-string is several tokens.
    prose = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in prose:
            yield token.start[0], list(STYLISED.finditer(token.string))


def _instead(phrase: str) -> str:
    plain = " ".join(phrase.split())
    return next(better for words, better in PLAIN.items() if plain in words.split("|"))
