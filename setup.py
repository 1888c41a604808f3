"""The compiled parts and the one build switch; everything else is in pyproject.toml.

HEARTBEAT_BUILD = release   stable ABI, one wheel per processor for every CPython from 3.11 (the default)
                  debug     this Python's full API, with line tracing (coverage of .pyx files)
                  asan      full API with the address and undefined-behaviour sanitizers
                  fuzz      the same with feedback for a fuzzer (clang alone)
"""

import os
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
KERNEL = "heartbeat/kernel_build.py"

# what the Limited API lacks compiles as an implicit declaration and fails only at import
extensions = [
    Extension(f"_hbfast.{name}", [f"_hbfast/{name}.pyx"], define_macros=MACROS, py_limited_api=MODE == "release",
              extra_compile_args=[*COMPILE, "-Werror=implicit-function-declaration"], extra_link_args=LINK)
    for name in ("auth", "codec", "wheel")
]  # fmt: skip


class BuildPy(build_py):
    def find_package_modules(self, package, package_dir):
        """All but the build script, which no installed program needs."""
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if Path(module[2]) != Path(KERNEL)]


setup(
    ext_modules=cythonize(extensions, build_dir="build/cython", compiler_directives={"linetrace": MODE == "debug"}),
    cffi_modules=[f"{KERNEL}:ffibuilder"],
    cmdclass={"build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp311"} if MODE == "release" else {}},
)
