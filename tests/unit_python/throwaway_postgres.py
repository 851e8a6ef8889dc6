"""A throw-away PostgreSQL server on a socket in a temporary folder."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import psycopg


class Postgres:
    """Started on entering, stopped and removed on leaving; `dsn` connects as the superuser."""

    def __init__(self) -> None:
        config = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True)
        self._bin = pathlib.Path(config.stdout.strip())
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="paysync-python-"))
        self.dsn = f"host={self._folder} user=postgres dbname=postgres"
        # The server refuses to run as root.
        self._user = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._user, str(self._bin / program), *arguments],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Postgres:
        data = str(self._folder / "data")
        self._run("initdb", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "-D", data)
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB"
        self._run("pg_ctl", "-w", "-D", data, "-l", str(self._folder / "log"), "-o", options, "start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "-D", str(self._folder / "data"), "stop")
        shutil.rmtree(self._folder)

    def connect(self, **options) -> psycopg.Connection:
        """A new connection."""
        return psycopg.connect(self.dsn, **options)
