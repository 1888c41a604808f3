"""The sources as data, for the tests of this folder: which files there are, and who imports what at run time."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository, by its path from the root."""
    argv = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\0")
    return tuple(name for name in names if name and (ROOT / name).exists())


def python_files(*folders: str) -> list[str]:
    """Those below these folders, or all. (heartbeat/agents is a link to agents/, and git does not follow it.)"""
    chosen = tuple(f"{folder}/" for folder in folders)
    return [name for name in tracked() if name.endswith(".py") and (not folders or name.startswith(chosen))]


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(text(name), name)


def module_of(name: str) -> str:
    """heartbeat/core/group.py → heartbeat.core.group; agents/ installs as heartbeat.agents."""
    parts = name.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(["heartbeat", *parts] if parts[0] == "agents" else parts)


class Import:
    """One imported module. lazy: only when a function runs."""

    def __init__(self, module: str, line: int, lazy: bool) -> None:
        self.module = module
        self.line = line
        self.lazy = lazy

    def within(self, package: str) -> bool:
        return self.module == package or self.module.startswith(f"{package}.")


def imports(name: str) -> list[Import]:
    """What a file imports when it runs: what stands under `if TYPE_CHECKING` is left out."""
    package = module_of(name) if name.endswith("/__init__.py") else module_of(name).rpartition(".")[0]
    return imports_of(tree(name), package)


def imports_of(node: ast.AST, package: str, *, lazy: bool = False) -> list[Import]:
    """package: what a relative import starts from."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        inner: list[ast.AST] = list(node.orelse)
    elif isinstance(node, ast.Import):
        return [Import(alias.name, node.lineno, lazy) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        return [Import(module, node.lineno, lazy) for module in _imported_from(node, package)]
    else:
        inner = list(ast.iter_child_nodes(node))
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return [found for child in inner for found in imports_of(child, package, lazy=lazy)]


def _imported_from(statement: ast.ImportFrom, package: str) -> list[str]:
    """`from heartbeat import config` imports a module, `from heartbeat.config import load` a name of one."""
    base = statement.module or ""
    if statement.level:
        above = package.split(".")[: len(package.split(".")) - statement.level + 1]
        base = ".".join([*above, base] if base else above)
    found = [f"{base}.{alias.name}" for alias in statement.names if f"{base}.{alias.name}" in _modules()]
    return found + [base] * (len(found) < len(statement.names))


@cache
def _modules() -> set[str]:
    compiled = {name.removesuffix(".pyx").replace("/", ".") for name in tracked() if name.endswith(".pyx")}
    return {module_of(name) for name in python_files("heartbeat", "agents", "_hbfast")} | compiled
