"""Writers do not wait for each other because of us."""

import os
import subprocess
import threading

import psycopg
import pytest

import workspace
from harness import Postgres
from harness.outbox import Outbox

WRITERS = 64
SECONDS = float(os.environ.get("SECONDS", 20))
SCHEMA = """
create table plain (id bigserial primary key, n int, note text);
create table parted (id bigserial primary key, n int, pan text) partition by hash (id);
create table parted_0 partition of parted for values with (modulus 2, remainder 0);
create table parted_1 partition of parted for values with (modulus 2, remainder 1);
insert into plain (n) select 0 from generate_series(1, 2000);
select paysync.set_mask_key('k1', 'a secret of sixteen bytes or more');
select paysync.register('plain', old_values => 'changed', row_filter => 'n >= 0'),
    paysync.register('parted', masks => '{"pan": {"mask": "hmac", "key": "k1"}}');
"""
# Each client keeps to rows of its own, so that what it waits for is ours; and it rests, so that a writer that is not given a processor
# while it extends a file is not what is measured.
SCRIPT = """
\\set row :client_id * 30 + random(1, 30)
begin;
insert into plain (n, note) values (1, repeat('x', 300));
update plain set n = n + 1 where id = :row;
savepoint a;
insert into parted (n, pan) values (1, '4929712345678901');
release a;
select paysync.emit('default', 'paid', '{}');
commit;
\\sleep 100 ms
"""
# Locks of ours that somebody waits for, and the lock under which NOTIFY commits, whoever has it.
LOOK = """
select l.locktype, l.mode, coalesce(c.relname, l.classid::regclass::text), l.granted from pg_locks as l left join pg_class as c on c.oid = l.relation
where not l.granted and (c.relnamespace = 'paysync'::regnamespace or (l.locktype = 'object' and l.classid = any (
          select oid from pg_class where relnamespace = 'paysync'::regnamespace)) or l.locktype = 'advisory')
   or l.locktype = 'object' and l.database = 0 and l.classid = 'pg_database'::regclass and l.objid = 0
"""


def drain(outbox: Outbox, ends: threading.Event, errors: list) -> None:
    """Cut ticks, acknowledge, switch and empty segments, as a relay does."""
    try:
        while not ends.wait(0.05):
            outbox.skip()
            outbox.acknowledge()
    except psycopg.Error as error:
        errors.append(error)


@pytest.mark.deadline(int(SECONDS) + 120)
def test_no_writer_waits_for_a_lock_of_ours(folder):
    """Rule: with 64 writers at work, ticks cut and segments switched, nobody waits for a lock on a relation of ours, but for a moment
    while a file is extended; and no lock is taken that all commits of a server share."""
    script = folder / "script.sql"
    script.write_text(SCRIPT)
    with Postgres(folder / "pg", settings={"max_connections": "100"}) as server:
        database = server.create_database("bank")
        database.execute("create extension paysync; alter database bank set paysync.segment_size = '2MB'")
        database.execute(SCHEMA)
        with Outbox(database) as outbox, database.connect() as observer:
            command = [workspace.server_program("pgbench"), "-n", "-c", WRITERS, "-j", "2", "-T", int(SECONDS), "-f", script, "-h", server.socket_folder,
                       "-p", server.port, "-U", "postgres", "bank"]
            done, errors, ends = [], [], threading.Event()
            bench = threading.Thread(target=lambda: done.append(subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)))
            reader = threading.Thread(target=drain, args=(outbox, ends, errors))
            bench.start()
            reader.start()
            samples, waits, shared = 0, [], []
            while bench.is_alive():
                found = observer.execute(LOOK).fetchall()
                samples += 1
                shared += [row for row in found if row[0] == "object" and row[2] == "pg_database"]
                if ours := [row for row in found if not row[3]]:
                    waits.append(ours)
                bench.join(0.01)
            ends.set()
            reader.join(60)
            assert done[0].returncode == 0, done[0].stderr
            assert not errors, errors[0]
            count = outbox.skip()
            assert count == database.value("select count(*) from parted")
            assert database.value("select max(generation) from paysync.ring") > 3
    print(f"{samples} samples, {count} transactions, {len(waits)} samples with waits: {waits[:5]}")
    assert not shared, f"the lock of NOTIFY is taken: {shared[:3]}"
    others = [row for ours in waits for row in ours if row[0] != "extend"]
    assert not others, f"writers wait: {others[:5]}"
    assert samples > SECONDS * 10 and len(waits) < samples / 100, f"{len(waits)} of {samples} samples show somebody waiting to extend a file"
