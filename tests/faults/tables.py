"""The source's tables: some reference each other, each in a channel of its own, and a journal in which every transaction says what
it was, so that the source itself is the log of what was committed."""

import json

import psycopg

from .history import Committed

ACCOUNTS = 12
# Of so many rows in an even batch of bulk one has its echo in transfers, by a trigger: what it inserts is captured before rows of
# the same statement, so the transaction must be sorted by those who read it. One of an odd batch is in order.
ECHO = 400
# Table to channel.
TABLES = {"accounts": "accounts", "transfers": "transfers", "lines": "lines", "bulk": "bulk", "journal": "journal"}
EVENTS = "events"
CHANNELS = frozenset(TABLES.values()) | {EVENTS}

SCHEMA = f"""
create table accounts (id bigint primary key, version bigint not null, balance bigint not null);
create table transfers (id bigint primary key, account bigint not null references accounts, amount bigint not null);
create table lines (id bigint primary key, transfer bigint not null references transfers on delete cascade, words text not null);
create table bulk (id bigint primary key, version bigint not null, batch bigint not null, filler text not null);
create index on lines (transfer);
create index on bulk (batch);
create table journal (id bigint primary key, writer text not null, xid text not null default pg_current_xact_id()::text,
    seen bigint[] not null, counts jsonb not null);
create sequence ids;
create function echo() returns trigger language plpgsql as $$ begin insert into transfers values (-new.id, 1, 0); return null; end $$;
create trigger echo after insert on bulk for each row when (new.batch % 2 = 0 and new.id % {ECHO} = 0) execute function echo();
insert into accounts select id, 0, 0 from generate_series(1, {ACCOUNTS}) as id;
"""
JOURNAL = "insert into journal (id, writer, seen, counts) values (%s, %s, %s::bigint[], %s)"


def create(database) -> None:
    """Make and register the tables."""
    with database.connect() as session:
        session.execute(SCHEMA)
        for table, channel in TABLES.items():
            session.execute("select paysync.register(%s::regclass, %s)", (table, channel))


def read_committed(connection) -> list:
    """Every transaction that the source has."""
    return [Committed(id, int(xid), tuple(seen), {channel: count for channel, count in json.loads(counts).items() if count})
            for id, xid, seen, counts in connection.execute("select id, xid, seen, counts::text from journal")]


def read_table(connection, table: str) -> list:
    """All rows of a table."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(psycopg.sql.SQL("select * from {}").format(psycopg.sql.Identifier(table))).fetchall()
