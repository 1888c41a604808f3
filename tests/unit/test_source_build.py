"""The wheel's sources: the same program on the same lines, without docstrings and annotations."""

import ast

import pytest
from tidy.sources import ROOT, python_files

from heartbeat.source_build import lean

SOURCE = '''\
"""Größe: a module
of two lines."""

from __future__ import annotations

TABLE: dict[
    str, int
] = {"ä": 1}


class Plain:
    """Alone."""


class Fields(Base):
    """With one."""

    name: str
    size: int = 1


class Other:
    names: list[str]
    most: int = 3

    def method(self, first: int, *rest: str, named: tuple[int,
               str] = (1, "é"), **others: object) -> dict[
        str, int
    ]:
        """Says
        more."""
        for each in rest:
            found: str = each
        else:
            last: int
        return {"->": 1}  # -> None

    async def wait(self) -> None:
        """Nothing."""
'''


def test_what_is_left_out_and_what_is_not():
    made = lean(SOURCE.encode(), "x.py").decode()
    assert '"""' not in made
    told = {"None", "object", "dict", "list", "tuple"}
    assert not [node for node in ast.walk(ast.parse(made)) if isinstance(node, ast.Name) and node.id in told]
    assert made.count("\n") == SOURCE.count("\n")
    space: dict[str, object] = {"Base": object}
    exec(compile(made, "x.py", "exec"), space)
    assert space["TABLE"] == {"ä": 1}
    other = space["Other"]()
    assert other.method(1, "a") == {"->": 1}
    assert other.method.__annotations__ == {}
    assert (other.method.__doc__, other.most) == (None, 3)
    assert space["Fields"].__annotations__ == {"name": "str", "size": "int"}
    assert not hasattr(space["Other"], "names")


@pytest.mark.parametrize("folder", ["heartbeat", "agents", "_hbfast"])
def test_every_source_has_forms_that_are_known(folder):
    for name in python_files(folder):
        source = (ROOT / name).read_bytes()
        assert len(source.splitlines()) == len(lean(source, name).splitlines()), name


def test_what_would_be_another_program_is_refused():
    with pytest.raises(SyntaxError):
        lean(b"def f(a):\n    'Says it.'; return a\n", "x.py")
