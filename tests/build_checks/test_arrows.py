"""Includes run one way: wire stands on nothing of ours, capture, drain, relay and clients on wire, and no sibling on another."""

import re
import subprocess
from pathlib import Path

import pytest

from workspace import ROOT

# A folder and what its files may include from. "extension" are the files right in extension/: the gate to the server, settings.
ALLOWED = {
    "extension/wire": {"extension/wire"},
    "extension/outbox": {"extension/outbox", "extension/wire", "extension"},
    "extension/capture": {"extension/capture", "extension/outbox", "extension/wire", "extension"},
    "extension/ddl": {"extension/ddl", "extension"},
    "extension/drain": {"extension/drain", "extension/outbox", "extension/wire", "extension"},
    "extension": {"extension", "extension/wire", "extension/outbox", "extension/capture", "extension/drain"},
    "relay": {"relay", "extension/wire"},
    "clients/cpp": {"clients/cpp", "extension/wire"},
    "clients/cli": {"clients/cli", "clients/cpp", "extension/wire"},
}
GATE = "extension/postgres.hpp"
# Libraries a folder must not see: the server's process has no place for them.
FORBIDDEN = {
    "extension": r"zmq|libpq-fe|msgpack\.hpp|iostream|thread|mutex|string$|vector$|map$|memory$|functional$|fmt/|spdlog/|CLI/|toml",
    "clients/cpp": r"libpq-fe|CLI/|toml|systemd/",
}
INCLUDE_ROOTS = ["extension", "relay", "clients/cpp"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources() -> list:
    """All C++ files of the folders above."""
    return sorted(path for folder in ("extension", "relay", "clients") for suffix in ("cpp", "hpp")
                  for path in (ROOT / folder).rglob(f"*.{suffix}"))


def folder_of(path: Path) -> str:
    """The folder a file belongs to, relative to the tree."""
    return str(path.relative_to(ROOT).parent)


def resolve(path: Path, name: str) -> Path | None:
    """The file of ours that an include means, as the compiler looks for it: beside the file first."""
    for folder in [path.parent, *(ROOT / root for root in INCLUDE_ROOTS)]:
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def test_every_folder_has_its_rule():
    """Rule: a new folder of C++ says what it stands on."""
    assert {folder_of(path) for path in sources()} <= set(ALLOWED)


def test_includes_follow_the_arrows():
    """Rule: a file includes from its own folder and from those below it, never from a sibling."""
    wrong = []
    for path in sources():
        for quote, name in INCLUDE.findall(path.read_text()):
            target = resolve(path, name) if quote == '"' else None
            if target and folder_of(target) not in ALLOWED[folder_of(path)]:
                wrong.append(f"{path.relative_to(ROOT)} includes {target.relative_to(ROOT)}")
    assert not wrong


def test_one_gate_to_the_server():
    """Rule: only the gate includes the server's headers; order and linkage are settled in one place."""
    wrong = []
    for path in sources():
        relative = str(path.relative_to(ROOT))
        for quote, name in INCLUDE.findall(path.read_text()):
            if quote == '"' and resolve(path, name) is None and relative != GATE:
                wrong.append(f'{relative} includes "{name}"')
    assert not wrong


def test_no_library_where_it_has_no_place():
    """Rule: the extension uses no containers, threads, streams or sockets; libpaysync no database and no command line."""
    wrong = []
    for path in sources():
        for folder, pattern in FORBIDDEN.items():
            # wire is read outside the server too; what it may use, the test of its headers below says.
            if not folder_of(path).startswith(folder) or folder_of(path) == "extension/wire":
                continue
            wrong += [f"{path.relative_to(ROOT)} includes <{name}>" for quote, name in INCLUDE.findall(path.read_text())
                      if quote == "<" and re.match(pattern, name)]
    assert not wrong


def compile_header(header: Path, flags: list) -> str:
    """What the compiler says to a file that includes the header alone, twice; empty when all is well."""
    source = f'#include "{header}"\n#include "{header}"\n'
    command = ["g++", "-x", "c++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-DMSGPACK_NO_BOOST", *flags, "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("header", sorted((ROOT / "extension" / "wire").glob("*.hpp")), ids=lambda path: path.name)
def test_wire_headers_stand_alone(header):
    """Rule: each header of wire compiles alone, without the server's folders, in both dialects: without exceptions and with."""
    include = f"-I{ROOT / 'extension'}"
    assert compile_header(header, ["-std=c++17", "-fno-exceptions", "-fno-rtti", include]) == ""
    assert compile_header(header, ["-std=c++20", include]) == ""


def test_the_public_header_stands_alone(tmp_path):
    """Rule: libpaysync's header is all a user's program includes: it compiles with nothing else of ours in reach."""
    (tmp_path / "paysync.hpp").write_bytes((ROOT / "clients" / "cpp" / "paysync.hpp").read_bytes())
    assert compile_header(tmp_path / "paysync.hpp", ["-std=c++20"]) == ""
