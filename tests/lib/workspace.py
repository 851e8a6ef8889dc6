"""Where tests put servers and files: paths of the build, the account servers run as, and folders that account can enter."""

import atexit
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
# A unix socket's path has at most 107 bytes; a server adds "/.s.PGSQL.NNNNN.lock" and its own folders.
LONGEST_BASE = 60


@functools.cache
def pg_config(option: str) -> str:
    """What pg_config prints for an option; PG_CONFIG chooses the server."""
    command = [os.environ.get("PG_CONFIG", "pg_config"), option]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def server_program(name: str) -> str:
    """The path of a program of the server (initdb, postgres, psql, pgbench)."""
    return os.path.join(pg_config("--bindir"), name)


def server_test_program(name: str) -> str:
    """The path of a program that comes with the server's headers, e.g. regress/pg_regress."""
    return str(Path(pg_config("--pgxs")).parents[2] / "src" / "test" / name)


@functools.cache
def server_account():
    """The account servers run as: none but our own, or `postgres` when we are root, whom the server refuses."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def as_server(command: list) -> list:
    """The command as the server's account, killed when the process that started it dies, so that no server outlives its test."""
    account = server_account()
    change = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account else []
    # SIGQUIT is a server's immediate shutdown.
    return ["setpriv", *change, "--pdeathsig", "QUIT", "--", *map(str, command)]


def give_to_server(path: Path) -> None:
    """Make the server's account the owner of a file or folder."""
    account = server_account()
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)


def server_can_enter(path: Path) -> bool:
    """Whether the server's account can list and read a folder."""
    test = as_server(["test", "-r", path, "-a", "-x", path])
    return subprocess.run(test, check=False, capture_output=True).returncode == 0


@functools.cache
def base() -> Path:
    """A fresh folder for servers, removed at exit: below build/ if the server's account can enter that and the path is short
    enough for a socket, else a temporary one."""
    os.umask(0o022)
    inside = BUILD / "servers"
    inside.mkdir(parents=True, exist_ok=True)
    if server_can_enter(inside) and len(str(inside)) <= LONGEST_BASE:
        folder = Path(tempfile.mkdtemp(prefix="", dir=inside))
    else:
        folder = Path(tempfile.mkdtemp(prefix="paysync-"))
    folder.chmod(0o755)
    owner = os.getpid()
    # A forked child must not remove it.
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return folder


@functools.cache
def stage() -> Path:
    """The folder with the installed extension, as `extension_destdir` wants it; a copy when the server cannot enter build/."""
    built = BUILD / "stage"
    if not built.is_dir():
        raise RuntimeError(f'"{built}" does not exist: run "make stage"')
    if server_can_enter(built):
        return built
    copy = base() / "stage"
    shutil.copytree(built, copy)
    return copy
