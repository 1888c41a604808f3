"""Who may import whom, as docs/architecture.md has it. Imports for type checkers alone do not count."""

import ast
import sys

from tidy.sources import ROOT, imports, imports_of, module_of, python_files, text

# what imports nothing of ours: small parts that any other may use
TOOLS = {
    "heartbeat.paths",
    "heartbeat.poller",
    "heartbeat.precedence",
    "heartbeat.schedule",
    "heartbeat.lateness",
    "heartbeat.held",
    "heartbeat.pace",
    "heartbeat.pcap",
    "heartbeat.jsontext",
    "heartbeat.lean",
}
# the core's interface, with which everybody else speaks to it
INTERFACE = {"heartbeat.core.actions", "heartbeat.core.events", "heartbeat.core.settings"}
EVERYTHING = {"heartbeat", "_hbfast"}

# part → packages and modules of ours that it may import, itself aside
ALLOWED = {
    "_hbfast": set(),
    "heartbeat.core": {"_hbfast"},
    "heartbeat.agents": {"heartbeat._kernel"},
    "heartbeat.config": INTERFACE,
    "heartbeat.media": INTERFACE | {"_hbfast", "heartbeat.lean"},
    "heartbeat.control": INTERFACE | TOOLS,
    "heartbeat.children": INTERFACE | TOOLS,
    "heartbeat.persist": INTERFACE | TOOLS,
    "heartbeat.alarm": INTERFACE | TOOLS | {"heartbeat.agents", "heartbeat.children"},
    "heartbeat.peers": INTERFACE | TOOLS | {"heartbeat.children", "heartbeat.persist"},
    "heartbeat.hooks": INTERFACE | TOOLS | {"heartbeat.children"},
    "heartbeat.realtime": {"heartbeat._kernel", "heartbeat.precedence"},
    "heartbeat.privileges": {"heartbeat._kernel"},
    "heartbeat.report": INTERFACE,
    "heartbeat.log": INTERFACE | TOOLS,
    "heartbeat.loop": TOOLS,
    "heartbeat.wire": INTERFACE | TOOLS | {"_hbfast", "heartbeat.media"},
    "heartbeat.pings": INTERFACE | TOOLS | {"_hbfast", "heartbeat.media"},
    "heartbeat.gate": {"heartbeat.agents", "heartbeat.jsontext"},
    "heartbeat.gatekeeper": INTERFACE | TOOLS | {"heartbeat.gate"},
    "heartbeat.lease": INTERFACE | TOOLS | {"heartbeat.gate", "heartbeat.gatekeeper"},
    "heartbeat.addresses": INTERFACE | TOOLS | {"heartbeat.agents"},
    "heartbeat.executor": INTERFACE | TOOLS | {
        "heartbeat.addresses", "heartbeat.agents", "heartbeat.alarm", "heartbeat.children", "heartbeat.control",
        "heartbeat.hooks", "heartbeat.lease", "heartbeat.log", "heartbeat.peers", "heartbeat.pings",
        "heartbeat.realtime",
    },
    "heartbeat.respawn": INTERFACE | TOOLS | {"heartbeat.children", "heartbeat.executor"},
    "heartbeat.daemon": INTERFACE | TOOLS | {
        "heartbeat.control", "heartbeat.core.cluster", "heartbeat.executor", "heartbeat.files", "heartbeat.log",
        "heartbeat.loop", "heartbeat.media", "heartbeat.persist", "heartbeat.privileges", "heartbeat.realtime",
        "heartbeat.recorder", "heartbeat.report", "heartbeat.respawn", "heartbeat.watch", "heartbeat.wire",
    },
    "heartbeat.watch": {"_hbfast", "heartbeat.wire"},
    "heartbeat.files": {"heartbeat.config", "heartbeat.paths"},
    "heartbeat.launch": TOOLS | {"heartbeat.anew"},
    "heartbeat.anew": TOOLS | {"_hbfast", "heartbeat.daemon", "heartbeat.files", "heartbeat.privileges"},
    "heartbeat.snapshot": {"_hbfast", "heartbeat.core", "heartbeat.lean"},
    "heartbeat.journal": {"_hbfast", "heartbeat.core", "heartbeat.jsontext", "heartbeat.snapshot"},
    "heartbeat.journalfile": {"_hbfast", "heartbeat.journal", "heartbeat.snapshot"},
    "heartbeat.recorder": INTERFACE | TOOLS | {"heartbeat.children", "heartbeat.journal", "heartbeat.journalfile"},
    "heartbeat.replay": {
        "_hbfast", "heartbeat.core", "heartbeat.journal", "heartbeat.journalfile", "heartbeat.log",
        "heartbeat.snapshot",
    },
    "heartbeat.decode": {"_hbfast", "heartbeat.config", "heartbeat.pcap"},
    "heartbeat.advised": {"heartbeat.config", "heartbeat.persist"},
    "heartbeat.measure": {"_hbfast", "heartbeat.config", "heartbeat.media", "heartbeat.realtime"},
    "heartbeat.bench": {
        "heartbeat.advised", "heartbeat.config", "heartbeat.control", "heartbeat.measure", "heartbeat.persist",
    },
    "heartbeat.clstatus": {"heartbeat.control", "heartbeat.log"},
    "heartbeat.demo": EVERYTHING,
    "heartbeat.sim": {"_hbfast", "heartbeat.core", "heartbeat.config"},
    "heartbeat.cli": EVERYTHING,
    "heartbeat.kernel_build": set(),
    "heartbeat.source_build": set(),
    "heartbeat": set(),
} | {tool: set() for tool in TOOLS} | {"heartbeat.held": {"heartbeat.jsontext"}}  # fmt: skip

# of other people's packages, who may import which when it is loaded; in a function, who may load which later
OTHERS = {"heartbeat.demo": {"pyroute2"}, "heartbeat.kernel_build": {"cffi"}, "heartbeat.media.serial": {"serial"}}
OTHERS_LATER = {
    "heartbeat.config.advice": {"pyroute2"},
    "heartbeat.config.scripts": {"_sha2"},  # Python's own since 3.12
}

FILES = python_files("_hbfast", "heartbeat", "agents")


def part_of(module: str) -> str:
    """The longest row that the module belongs to."""
    return max((part for part in ALLOWED if module == part or module.startswith(f"{part}.")), key=len)


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("heartbeat", "_hbfast")


def test_every_part_has_a_row():
    assert [name for name in FILES if part_of(module_of(name)) == "heartbeat" != module_of(name)] == []


def test_imports_of_ours():
    wrong = []
    for name in FILES:
        part = part_of(module_of(name))
        allowed = ALLOWED[part] | {part}
        for found in imports(name):
            if not is_ours(found.module) or found.module == "heartbeat":  # which holds the version and nothing else
                continue
            if not any(found.within(package) for package in allowed):
                wrong.append(f"{name}:{found.line}: {part} imports {found.module}")
    assert wrong == []


def test_imports_of_other_packages():
    wrong = []
    for name in FILES:
        module = module_of(name)
        rows = [row for row in OTHERS if (module + ".").startswith(row + ".")]
        permitted = {each for row in rows for each in OTHERS[row]}
        for found in imports(name):
            package = found.module.partition(".")[0]
            if package in sys.stdlib_module_names or is_ours(found.module):
                continue
            if package not in permitted | (OTHERS_LATER.get(module, set()) if found.lazy else set()):
                wrong.append(f"{name}:{found.line}: {package}")
    assert wrong == []


def test_the_core_is_pure():
    wrong = [
        f"{name}:{found.line}: {found.module}"
        for name in python_files("heartbeat/core")
        for found in imports(name)
        if found.module not in ("__future__", "collections") and not is_ours(found.module)
    ]
    assert wrong == []


def test_the_command_line_imports_nothing_of_ours_before_it_is_needed():
    assert {found.module for found in imports("heartbeat/cli.py") if not found.lazy} == {"__future__", "os", "sys"}


def test_the_compiled_parts_import_nothing_of_ours():
    for source in sorted((ROOT / "_hbfast").glob("*.py[xi]")) + sorted((ROOT / "_hbfast").glob("*.px[di]")):
        for number, line in enumerate(source.read_text().splitlines(), 1):
            words = line.split()
            if words[:1] in (["from"], ["import"], ["cimport"]):
                assert words[1].partition(".")[0] != "heartbeat", f"{source.name}:{number}"


def test_the_table_is_the_one_that_people_read():
    section = text("docs/architecture.md").partition("## Who may import whom")[2].partition("\n## ")[0]
    for part in ALLOWED:
        name = part.removeprefix("heartbeat.")
        assert name == "heartbeat" or f"`{name}`" in section or f"`{part}`" in section, f"{name} has no row"


def test_a_forbidden_import_is_seen_wherever_it_hides():
    """This file's own eyes: relative, in a function, as an attribute of a package, in the else of TYPE_CHECKING."""
    program = """
from . import network
from ..core import group
from heartbeat import daemon, __version__
if TYPE_CHECKING:
    import ssl
else:
    import asyncio
def later():
    import hashlib
"""
    found = {each.module: each.lazy for each in imports_of(ast.parse(program), "heartbeat.agents")}
    assert found == {
        "heartbeat.agents.network": False, "heartbeat.core.group": False, "heartbeat.daemon": False,
        "heartbeat": False, "asyncio": False, "hashlib": True,
    }  # fmt: skip
