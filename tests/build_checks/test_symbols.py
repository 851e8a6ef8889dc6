"""The extension's library takes from the server and the C library only, and gives exactly what the install script names."""

import re
import subprocess

import pytest

import workspace
from workspace import BUILD

LIBRARY = BUILD / "extension" / "paysync.so"
# What the loader itself wants; weak, so it needs no libstdc++.
WEAK_ALLOWED = {"__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}
ENTRY_POINTS = {"_PG_init", "Pg_magic_func"}


def dynamic_symbols(path) -> list:
    """The dynamic symbols of a file as (type letter, name without version)."""
    text = subprocess.run(["nm", "--dynamic", str(path)], check=True, capture_output=True, text=True).stdout
    return [(words[-2], words[-1].split("@")[0]) for words in map(str.split, text.splitlines())]


def test_no_cxx_runtime():
    """Rule: nothing of the C++ runtime is used: an exception or a thrown bad_alloc in a backend aborts every session."""
    wanted = {name for kind, name in dynamic_symbols(LIBRARY) if kind == "U"}
    runtime = {name for name in wanted if re.match(r"_Z|__cxa_|__gxx_|_Unwind_|__dynamic_cast|__once_proxy", name)}
    assert not runtime
    weak = {name for kind, name in dynamic_symbols(LIBRARY) if kind in "wv"}
    assert weak <= WEAK_ALLOWED


def test_needs_no_libstdcxx():
    """Rule: the library is linked with the C compiler: the loader would find libstdc++ through the server's ICU and hide a mistake."""
    text = subprocess.run(["readelf", "--dynamic", str(LIBRARY)], check=True, capture_output=True, text=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)\]", text))
    assert {name.split(".so")[0] for name in needed} <= {"libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}


def test_every_symbol_is_the_servers_or_libcs():
    """Rule: what the library wants, the server it was built for defines, or libc; the loader binds lazily and would tell at the first call."""
    text = subprocess.run(["nm", "--dynamic", str(LIBRARY)], check=True, capture_output=True, text=True).stdout
    wanted = {line.split()[-1] for line in text.splitlines() if line.split()[-2] == "U"}
    offered = {name for kind, name in dynamic_symbols(workspace.server_program("postgres")) if kind not in "Uwv"}
    assert {name for name in wanted if "@GLIBC" not in name and name not in offered} == set()


def test_exports_match_the_install_scripts():
    """Rule: exported are the entry points and the functions that install scripts name, older versions' too, each with its pg_finfo
    twin, nothing else."""
    scripts = list((BUILD / "extension").glob("paysync--*.sql"))
    named = {name for script in scripts for name in re.findall(r"MODULE_PATHNAME\W+(paysync_\w+)", script.read_text())}
    exported = {name for kind, name in dynamic_symbols(LIBRARY) if kind in "TDBR"}
    functions = {name for name in exported - ENTRY_POINTS if not name.startswith("pg_finfo_")}
    twins = {name.removeprefix("pg_finfo_") for name in exported if name.startswith("pg_finfo_")}
    assert ENTRY_POINTS <= exported
    assert functions == named
    assert twins == functions


@pytest.mark.parametrize("program", ["paysync-relay", "paysync"])
def test_programs_are_hardened(program):
    """Rule: the programs are position-independent, with all relocations read-only before main()."""
    text = subprocess.run(["readelf", "--dynamic", "--program-headers", str(BUILD / "bin" / program)], check=True,
                          capture_output=True, text=True).stdout
    assert "GNU_RELRO" in text and re.search(r"\bNOW\b", text) and re.search(r"\bPIE\b", text)
