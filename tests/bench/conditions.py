"""Under what a table was measured: machine, kernel, server, settings, versions; written below every table."""

import os
import platform
import subprocess
import time
from pathlib import Path

import workspace
from harness import Postgres
from measure import MIB, SCALE, SLICE_SECONDS, SLICES
from peers.base import package_version

# A server as one would run it, on a machine of this size: durable, with room between checkpoints. Nothing in the background falls
# into one slice and not into the next: benchmarks empty their tables themselves and call CHECKPOINT between slices.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_connections": "120",
    "max_replication_slots": "80",
    "max_wal_senders": "10",
}
# Of others, before anything of ours ran.
LOAD_BEFORE = os.getloadavg()[0]
TOLD = (*SETTINGS, "shared_buffers", "synchronous_commit")


def memory() -> int:
    """Bytes of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def server(folder: Path, wrapper: list | None = None, **settings) -> Postgres:
    """A server under SETTINGS, with a quarter of the memory but at most 2 GB in shared buffers, that takes the peers' plugins."""
    buffers = min(2 << 30, memory() // 4) // MIB
    return Postgres(folder, settings={**SETTINGS, "shared_buffers": f"{buffers}MB", **plugins(), **settings}, wrapper=wrapper)


def servers(folder: Path, peers: list, stack, **settings) -> dict:
    """By wal_level one running server for all of these peers and the baseline, which is under "replica". They end with the stack."""
    levels = sorted({"replica", *(peer.wal_level for peer in peers)})
    return {level: stack.enter_context(server(folder / level, wal_level=level, **settings)) for level in levels}


def plugins() -> dict:
    """15.20 and later load only output plugins that they are told of; servers that do not know the setting refuse it."""
    command = workspace.as_server([workspace.server_program("postgres"), "--describe-config"])
    known = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout
    names = "pgoutput, test_decoding, wal2json, decoderbufs"
    return {"output_plugin_libraries": names} if "output_plugin_libraries\t" in known else {}


def of_server(running: Postgres) -> str:
    """A line with the server's version and what it was set to."""
    with running.connect() as session:
        version = session.execute("show server_version").fetchone()[0]
        values = [f"{name} {session.execute(f'show {name}').fetchone()[0]}" for name in TOLD]
    return f"PostgreSQL {version}: {', '.join(values)}.\n"


def of_peers(peers: list) -> str:
    """A line with the versions of what stands in a table."""
    known = {peer.name: peer.version() for peer in peers if not peer.missing()}
    return "Versions: " + "; ".join(f"{name} {version}" for name, version in known.items() if version) + ".\n"


def processor() -> str:
    """Its name as the kernel knows it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def of_machine() -> str:
    """A line with machine, libraries, the tree's state, the date and the scale."""
    tree = subprocess.run(["git", "describe", "--always", "--dirty"], check=False, capture_output=True, text=True, cwd=workspace.ROOT).stdout.strip()
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return (f"{os.cpu_count()} processors {processor()}, {memory() / (1 << 30):.0f} GiB, {system}, kernel {platform.release()}, "
            f"libzmq {package_version('libzmq5') or 'of unknown version'}, libpq {package_version('libpq5') or 'of unknown version'}; "
            f"tree {tree or 'unknown'}; {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, load {LOAD_BEFORE:.1f} before it began; SCALE={SCALE:g} SLICES={SLICES} SLICE_SECONDS={SLICE_SECONDS:g}.\n")
