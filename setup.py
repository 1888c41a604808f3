"""The compiled parts and the one build switch; everything else is in pyproject.toml.

HEARTBEAT_BUILD = release   stable ABI, one wheel per processor for every CPython from 3.11 (the default)
                  debug     this Python's full API, with line tracing (coverage of .pyx files)
                  asan      full API with the address and undefined-behaviour sanitizers
                  fuzz      the same with feedback for a fuzzer (clang alone)
"""

import os
import runpy
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

MODE = os.environ.get("HEARTBEAT_BUILD", "release")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILE, LINK, MACROS = {
    "release": (["-O2", "-g0"], ["-s"], [("Py_LIMITED_API", "0x030B0000")]),
    "debug": (["-O0", "-g"], [], [("CYTHON_TRACE_NOGIL", "1")]),
    "asan": (["-O1", "-g", *SANITIZERS], SANITIZERS, []),
    "fuzz": (["-O1", "-g", "-fsanitize=fuzzer-no-link", *SANITIZERS], ["-fsanitize=fuzzer-no-link", *SANITIZERS], []),
}[MODE]
KERNEL, SOURCE = "heartbeat/kernel_build.py", "heartbeat/source_build.py"

# what the Limited API lacks compiles as an implicit declaration and fails only at import
extensions = [
    Extension(f"_hbfast.{name}", [f"_hbfast/{name}.pyx"], define_macros=MACROS, py_limited_api=MODE == "release",
              extra_compile_args=[*COMPILE, "-Werror=implicit-function-declaration"], extra_link_args=LINK)
    for name in ("auth", "codec", "wheel")
]  # fmt: skip


class BuildPy(build_py):  # without the build scripts, which no installed program needs
    def find_package_modules(self, package, package_dir):
        return [found for found in super().find_package_modules(package, package_dir) if found[1][-6:] != "_build"]

    def build_module(self, module, module_file, package):
        built = super().build_module(module, module_file, package)
        Path(built[0]).write_bytes(runpy.run_path(SOURCE)["lean"](Path(module_file).read_bytes(), module_file))
        return built


setup(
    ext_modules=cythonize(extensions, build_dir="build/cython", compiler_directives={"linetrace": MODE == "debug"}),
    cffi_modules=[f"{KERNEL}:ffibuilder"], cmdclass={"build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp311"} if MODE == "release" else {}},
)  # fmt: skip
