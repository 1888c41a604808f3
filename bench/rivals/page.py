"""The page of all results, bench/RESULTS.md: each command has a section of its own there, made anew by each whole run
of it, between two comments that name it. The rest of the page is nobody's but its author's."""

from __future__ import annotations

import re
from pathlib import Path

from bench.rivals import ROOT

PAGE = ROOT / "bench" / "RESULTS.md"
_TITLE = "# Results\n"


def put(page: str, name: str, section: str) -> str:
    """The page with this section: in the place of the one of that name, or at the end."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = f"{begin}\n{section.strip()}\n{end}"
    pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: block, page, count=1)
    return f"{(page or _TITLE).rstrip()}\n\n{block}\n"


def write(name: str, section: str, path: Path = PAGE) -> None:
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(put(page, name, section), encoding="utf-8")
