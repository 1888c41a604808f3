"""The daemon's interpreter, from its first line on: what stands in for parts of the standard library, then the
operator's files, before anything else is loaded (files.py), then the daemon.

`os` and `collections.abc` would bring 0.3 MB of Python that the daemon has no use for. All else that it loads asks for
`os` by that name, and finds the system calls that are compiled into the interpreter. Who asks that for more (pyserial
does) gets the whole.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_CODING = "utf-8", "surrogateescape"  # of names, as launch.py begins the interpreter


def main(argv: list[str]) -> int:
    sys.path += argv[6:]
    stand_in()
    return begin(argv[:6])


def stand_in() -> None:
    """`os` for good, and `collections` for as long as what is compiled is loaded."""
    sys.modules["os"] = os = _os()
    import posixpath  # noqa: PLC0415  it asks for `os`

    sys.modules["os.path"] = vars(os)["path"] = posixpath
    names = "collections", "collections.abc"
    sys.modules.update(dict.fromkeys(names, _abc()))
    try:
        import array  # noqa: F401, PLC0415

        import _hbfast  # noqa: F401, PLC0415
    finally:
        for name in names:
            del sys.modules[name]


def _os() -> ModuleType:
    import posix  # noqa: PLC0415

    os = type(sys)("os")
    os.__dict__.update(
        {name: value for name, value in posix.__dict__.items() if name[:2] != "__"},
        environ={fsdecode(name): fsdecode(value) for name, value in posix.environ.items()},
        fsencode=fsencode, fsdecode=fsdecode, __getattr__=_of_the_whole,
    )  # fmt: skip
    return os


def fsencode(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode(*_CODING)


def fsdecode(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode(*_CODING)


def _of_the_whole(name: str) -> object:
    """Of `os`, which is loaded for this and takes its place."""
    if name[:2] == "__":  # what the interpreter asks any module for
        raise AttributeError(name)
    if "walk" not in vars(sys.modules["os"]):
        del sys.modules["os"]
    import os  # noqa: PLC0415

    return getattr(os, name)


def _abc() -> ModuleType:
    """Classes that are told who else is one of them, and do not want to know it."""
    abc = type(sys)("abc")
    anything = type("Anything", (), {"register": staticmethod(lambda kind: kind)})
    vars(abc).update(abc=abc, __getattr__=lambda name: anything)
    return abc


def begin(words: list[str]) -> int:
    from heartbeat import files, privileges  # noqa: PLC0415
    from heartbeat.paths import Paths  # noqa: PLC0415

    privileges.mask_files()
    privileges.hide_memory()
    *directories, divisor, group = words
    paths = Paths(*directories)
    try:
        config = files.read(paths, divisor=int(divisor))
    except files.WrongFilesError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        print("heartbeat: not started: configuration error", file=sys.stderr)
        return 6
    from heartbeat import daemon  # noqa: PLC0415

    return daemon.run(paths, config, group=int(group))
