"""Applies a stream into table applied until it is killed: arguments are relay endpoint and DSN."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))

import psycopg  # noqa: E402

import paysync  # noqa: E402


def apply(cursor, transaction):
    """Note every change, with no key that would forbid doing so twice."""
    for change in transaction.changes:
        cursor.execute("insert into applied values (%s, %s)", (transaction.number, change.new["id"]))


with psycopg.connect(sys.argv[2], autocommit=True) as connection:
    paysync.run(connection, relay=sys.argv[1], subscriber="mirror", apply=apply, group=3)
