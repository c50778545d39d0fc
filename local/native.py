"""Compile what is in Cython in place, where there is a C compiler; else say so, and do without."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

from Cython.Build import cythonize
from setuptools import Distribution, Extension

from local.processes import ROOT

FOLDERS: Final = (ROOT / "models" / "native", ROOT / "runtime" / "native")
COMPILERS: Final = ("cc", "gcc", "clang")
FLAGS: Final = ["-O3"]
"""After those that Python was built with, which may be for less."""


def lacking() -> str:
    """What is missing for compiling, in words; empty where nothing is."""
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "the headers of Python are missing (python3-dev)"
    if not any(map(shutil.which, (os.environ.get("CC", ""), *COMPILERS))):
        return "a C compiler is missing"
    return ""


def build() -> None:
    """Compile every module, into the folder it stands in."""
    os.chdir(ROOT)
    sources = [path.relative_to(ROOT) for one in FOLDERS for path in sorted(one.glob("*.pyx"))]
    extensions = [
        Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=FLAGS)
        for path in sources
    ]
    modules = cythonize(extensions, build_dir="build/cython", quiet=True, language_level=3)
    distribution = Distribution({"ext_modules": modules, "script_name": "native"})
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    distribution.run_command("build_ext")


if __name__ == "__main__":
    missing = lacking()
    if missing:
        print(f"note: {missing}. Onhand works, and takes seven times the CPU", file=sys.stderr)
    else:
        print("compiling the plain way ...")
        build()
