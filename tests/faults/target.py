"""The target database of run(): each transaction leaves a row in it, in one transaction with the position."""

import json
import random

import psycopg

import paysync

from .content import Fingerprint, of_python
from .history import Delivery, Log

SCHEMA = """create table delivery (seq bigserial primary key, number bigint, position text, xid bigint, total bigint,
    channels jsonb, is_notice boolean);
create table refusal (detail text)"""


def apply(cursor, transaction) -> None:
    """Write down a transaction."""
    fingerprint = Fingerprint()
    for change in transaction.changes:
        fingerprint.add(*of_python(change))
    cursor.execute("insert into delivery (number, position, xid, total, channels, is_notice) values (%s, %s, %s, %s, %s, %s)",
                   (transaction.number, str(transaction.position), transaction.xid, transaction.total,
                    json.dumps(fingerprint.channels()), fingerprint.is_notice))


def run(dsn: str, name: str, endpoints: list, timings) -> None:
    """Apply until refused, or until the target is lost."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        try:
            paysync.run(connection, relay=endpoints, subscriber=name, apply=apply, group=random.choice((1, 1, 10)), timings=timings)
        except paysync.PaysyncError as error:
            if getattr(error, "code", None) != 303:
                connection.execute("insert into refusal values (%s)", (f"{type(error).__name__} {error}",))
            raise


def has(database, xid: int) -> bool:
    """Whether a transaction has been applied."""
    return database.value("select exists (select from delivery where xid = %s)", (xid,))


def read_log(database, log: Log) -> Log:
    """Fill a log from the target."""
    for number, position, xid, total, channels, is_notice in database.execute(
            "select number, position, xid, total, channels, is_notice from delivery order by seq"):
        counted = {channel: tuple(found) for channel, found in channels.items()}
        log.deliveries.append(Delivery(number, position, xid, total, counted, is_notice))
    log.refusals += [detail for (detail,) in database.execute("select detail from refusal")]
    return log
