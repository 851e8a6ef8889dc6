"""A throw-away PostgreSQL server, and databases in it."""

import os
import re
import signal
import subprocess
from pathlib import Path

import psycopg

import workspace

from .waiting import child_pids, free_port, is_alive, wait_for

# Quick to start, quiet, and with what tests of prepared transactions and replicas need. A crash of the server keeps its files
# whatever fsync says; only a crash of the machine would not.
DEFAULTS = {
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_prepared_transactions": "20",
    "wal_level": "logical",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "5s",
    "log_min_messages": "info",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "lc_messages": "C",
    "restart_after_crash": "on",
}
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postgres:
    """A cluster below `folder`, made at once and started by `start()` or as a context manager. It listens on a unix socket, and
    on 127.0.0.1 too if `tcp`. It finds the extension in the stage; nobody needs a password. `settings` go over the defaults;
    `wrapper` is a command to run the server under (valgrind with its options). It dies with the process that started it; a thread that starts one must outlive it."""

    def __init__(self, folder: Path, tcp: bool = False, settings: dict | None = None,
                 wrapper: list | None = None):
        self.folder = Path(folder)
        self.wrapper = wrapper or []
        self.data = self.folder / "data"
        self.socket_folder = self.folder / "s"
        self.log_path = self.folder / "log"
        self.tcp = tcp
        self.port = free_port()
        self.process = None
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.socket_folder.mkdir(mode=0o755)
        for path in (self.folder, self.socket_folder):
            workspace.give_to_server(path)
        self._initdb(settings or {})

    def _initdb(self, settings: dict) -> None:
        command = [workspace.server_program("initdb"), "--no-sync", "--no-locale", "--encoding=UTF8", "--username=postgres",
                   "--auth=trust", "--pgdata", self.data]
        done = subprocess.run(workspace.as_server(command), check=False, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")
        self.configure({
            **DEFAULTS, **stage_settings(), "port": str(self.port), "unix_socket_directories": str(self.socket_folder),
            "listen_addresses": "127.0.0.1" if self.tcp else "", **settings})

    def configure(self, settings: dict) -> None:
        """Append settings to the configuration file; the last word counts. A running server wants `reload()` or `restart()`."""
        with (self.data / "postgresql.conf").open("a") as file:
            for name, value in settings.items():
                escaped = str(value).replace("'", "''")
                file.write(f"{name} = '{escaped}'\n")

    def start(self, deadline: float = 60.0) -> "Postgres":
        """Start the server and wait until it takes connections."""
        assert not self.is_running(), "the server runs already"
        with self.log_path.open("ab") as log:
            command = [*self.wrapper, workspace.server_program("postgres"), "-D", self.data]
            self.process = subprocess.Popen(workspace.as_server(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd="/", start_new_session=True)

        def takes_connections() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self.process.returncode}: {self.log()[-2000:]}")
            try:
                self.connect().close()
                return True
            except psycopg.OperationalError:
                return False

        wait_for(takes_connections, deadline, lambda: f"the server takes connections; its log: {self.log()[-2000:]}")
        return self

    def stop(self, mode: str = "fast", deadline: float = 60.0) -> None:
        """Shut down (smart, fast, immediate); without effect when nothing runs. A server that does not end is killed, and an
        AssertionError says so."""
        if not self.is_running():
            return
        self.process.send_signal(STOP_SIGNALS[mode])
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.crash()
            raise AssertionError(f"the server did not stop ({mode}) within {deadline:g} s") from None

    def kill9_postmaster(self) -> None:
        """SIGKILL to the postmaster alone; returns when all its children saw it and ended."""
        self._kill([])

    def crash(self) -> None:
        """SIGKILL to all of the server's processes, as a machine that goes down would look to its clients."""
        self._kill(child_pids(self.process.pid))

    def _kill(self, children: list) -> None:
        family = child_pids(self.process.pid)
        # The postmaster first: with one of its children dead it would begin a recovery.
        self.process.kill()
        self.process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not any(map(is_alive, family)), 30, "the server's processes are gone")

    def restart(self, mode: str = "fast") -> "Postgres":
        """Stop and start."""
        self.stop(mode)
        return self.start()

    def reload(self) -> None:
        """Make the server read its configuration files again."""
        self.execute("select pg_reload_conf()")

    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self.process is not None and self.process.poll() is None

    def conninfo(self, dbname: str = "postgres", user: str = "postgres", **parameters) -> str:
        """A connection string; TCP if the server listens there and `host="127.0.0.1"` is given, else the unix socket. The session
        talks UTF-8 whatever the database's encoding is."""
        return psycopg.conninfo.make_conninfo(
            "", **{"host": str(self.socket_folder), "port": self.port, "dbname": dbname, "user": user, "client_encoding": "UTF8", **parameters})

    def connect(self, dbname: str = "postgres", user: str = "postgres", autocommit: bool = True, **parameters):
        """A psycopg connection."""
        return psycopg.connect(self.conninfo(dbname, user, **parameters), autocommit=autocommit)

    def execute(self, statement: str, parameters=None, dbname: str = "postgres") -> list:
        """Run one statement in a connection of its own; returns its rows."""
        with self.connect(dbname) as connection:
            return rows_of(connection.execute(statement, parameters))

    def backends(self, dbname: str | None = None, application: str | None = None) -> list:
        """The process ids of client sessions, but not the asking one's, of a database or with an application name."""
        rows = self.execute(
            """select pid from pg_stat_activity
               where backend_type = 'client backend' and pid <> pg_backend_pid()
                 and (%(dbname)s::text is null or datname = %(dbname)s)
                 and (%(application)s::text is null or application_name = %(application)s) order by pid""",
            {"dbname": dbname, "application": application})
        return [row[0] for row in rows]

    def log(self) -> str:
        """What the server wrote so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def create_database(self, name: str, template: str = "template1") -> "Database":
        """A new database, copied from a template nobody is connected to."""
        identifier = psycopg.sql.Identifier
        with self.connect() as connection:
            connection.execute(psycopg.sql.SQL("create database {} template {}").format(identifier(name), identifier(template)))
        return Database(self, name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, with its sessions and the prepared transactions a failed test left in it."""
        with self.connect() as connection:
            left = connection.execute("select gid from pg_prepared_xacts where database = %s", (name,)).fetchall()
        if left:
            with self.connect(name) as inside:
                for (gid,) in left:
                    inside.execute(psycopg.sql.SQL("rollback prepared {}").format(psycopg.sql.Literal(gid)))
        with self.connect() as connection:
            connection.execute(psycopg.sql.SQL("drop database if exists {} with (force)").format(psycopg.sql.Identifier(name)))

    def __enter__(self) -> "Postgres":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop("immediate")


class Database:
    """A database of a server."""

    def __init__(self, server: Postgres, name: str):
        self.server = server
        self.name = name

    def conninfo(self, user: str = "postgres", **parameters) -> str:
        """A connection string for it."""
        return self.server.conninfo(self.name, user, **parameters)

    def connect(self, user: str = "postgres", autocommit: bool = True, **parameters):
        """A psycopg connection to it."""
        return self.server.connect(self.name, user, autocommit, **parameters)

    def execute(self, statement: str, parameters=None) -> list:
        """Run one statement in a connection of its own; returns its rows."""
        return self.server.execute(statement, parameters, self.name)

    def value(self, statement: str, parameters=None):
        """The first column of the first row of a statement."""
        return self.execute(statement, parameters)[0][0]


def rows_of(cursor) -> list:
    """The rows of a cursor, none for a statement that returns none."""
    return cursor.fetchall() if cursor.description else []


def stage_settings() -> dict:
    """The settings that make a server find the extension in the stage: Debian's own up to 17, PostgreSQL's from 18 on."""
    stage = workspace.stage()
    major = int(re.match(r"PostgreSQL (\d+)", workspace.pg_config("--version"))[1])
    if major < 18:
        return {"extension_destdir": str(stage)}
    return {
        "extension_control_path": f"{stage}{workspace.pg_config('--sharedir')}:$system",
        "dynamic_library_path": f"{stage}{workspace.pg_config('--pkglibdir')}:$libdir",
    }
