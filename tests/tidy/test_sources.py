"""The house rules that a machine can check. A failure lists every place where one is broken, as file:line."""

import ast
import io
import re
import tokenize

from tidy.sources import ROOT, python_files, text, tracked, tree

CORE_LINES_MAX = 350
SETUP_LINES_MAX = 50
FUNCTION_LINES_MAX = 60  # a screen

ALL = python_files()
PROGRAM = python_files("heartbeat", "agents", "_hbfast")
CORE = python_files("heartbeat/core")


def functions(names):
    for name in names:
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno}", node


def comments(name):
    for token in tokenize.generate_tokens(io.StringIO(text(name)).readline):
        if token.type == tokenize.COMMENT:
            yield f"{name}:{token.start[0]}", token.string


def test_there_is_something_to_read():
    assert len(CORE) > 10
    assert set(CORE) < set(PROGRAM) < set(ALL) < set(tracked())


def test_a_file_of_the_core_is_short():
    assert [name for name in CORE if len(text(name).splitlines()) > CORE_LINES_MAX] == []


def test_a_function_fits_a_screen():
    long = [where for where, each in functions(PROGRAM) if each.end_lineno - each.lineno >= FUNCTION_LINES_MAX]
    assert long == []


def test_a_file_opens_with_what_it_is():
    assert [name for name in ALL if not (ast.get_docstring(tree(name)) or "").strip()] == []


def test_an_ignored_type_error_is_named():
    bare = re.compile(r"type:\s*ignore(?!\[)")
    assert [where for name in ALL for where, comment in comments(name) if bare.search(comment)] == []


def test_signatures_of_the_core_say_what_they_take():
    assert [where for where, each in functions(CORE) if "Any" in words_of_signature(each)] == []


def words_of_signature(function) -> set[str]:
    taken = function.args
    every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
    annotations = [argument.annotation for argument in every if argument] + [function.returns]
    # an annotation may be written as a string, or hold one
    return set(re.findall(r"\w+", " ".join(ast.unparse(each) for each in annotations if each)))


# the kernel's own names
FOREIGN_NAMES = re.compile(r"(_?MS|S)_[A-Z]")
UNIT_INSIDE = re.compile(r"(^|_)(ns|us|ms|s|seconds|milliseconds|octets|bytes|bits)_(?!per_)[a-z]", re.IGNORECASE)


def test_units_come_last_in_a_name():
    wrong = []
    for name in PROGRAM:
        for node in ast.walk(tree(name)):
            for field in ("id", "attr", "arg", "name"):
                word = getattr(node, field, None)
                if isinstance(word, str) and UNIT_INSIDE.search(word) and not FOREIGN_NAMES.match(word):
                    wrong.append(f"{name}: {word}")
    assert wrong == []


def test_setup_is_short_and_has_one_switch():
    program = text("setup.py")
    assert len(program.splitlines()) < SETUP_LINES_MAX
    assert re.findall(r"environ\W+(?:get\W+)?(\w+)", program) == ["HEARTBEAT_BUILD"]
    assert not re.search(r"argv|getenv", program)


# In pieces, so that this file is none of them. Who wrote a line, where, and for which task is no business of a source.
UNWANTED = [
    "/wo" + "rk/", "/tmp/ba" + "sh", r"\.\./sha" + "red", "Must " + "show", "Deli" + r"ver \d",
    r"\bissue[s]? " + r"(\d|#|tracker\b)", r"\b(GH-|is" + r"sue-)\d+", r"\bA" + r"I\b", r"\bassis" + r"tants?\b",
    r"\bcla" + "ude", "anthro" + "pic", "ope" + "nai", "chat" + "gpt", "copi" + r"lot\b", r"\bll" + r"ms?\b",
    r"\b(this|that|my|our|other|another|next|last|previous|earlier|later) ses" + r"sions?\b",
    r"\b(the bri" + r"ef|other help" + r"ers)\b", r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b",
]  # fmt: skip
# somebody else's text, recordings, and what a generator made
UNREAD = ("LICENSE", "tests/data/captures/", "tests/fuzz/corpus/")


def test_a_file_speaks_of_the_program_alone():
    pattern = re.compile("|".join(UNWANTED), re.IGNORECASE)
    found = []
    for name in tracked():
        path = ROOT / name
        if name.startswith(UNREAD) or not path.is_file():  # heartbeat/agents is a link
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name}:{number}: {line}")
    assert found == []


def test_no_build_product_is_kept():
    products = (".so", ".o", ".pyc", ".whl", ".egg-info", ".orig", ".rej")
    made = [name for name in tracked() if name.endswith(".c") and name.split("/")[0] in ("_hbfast", "heartbeat")]
    assert [name for name in tracked() if name.endswith(products)] + made == []
