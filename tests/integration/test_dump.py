"""A dump holds registrations, and a restored database captures as the old one did. Secrets are in none."""

import subprocess

import pytest

import workspace

SCHEMA = """
create schema shop;
create function shop.is_euro(text) returns boolean language sql immutable as $$ select $1 = 'EUR' $$;
create table shop.payments (id int primary key, gone int, currency varchar(3), pan text, email text unique);
alter table shop.payments drop column gone;
create table shop.plain (id int primary key, v text);
create table shop.parts (id int primary key, v text) partition by range (id);
create table shop.part_1 partition of shop.parts for values from (0) to (10);
create table shop.part_2 partition of shop.parts for values from (10) to (20);
create table shop.parent (id int primary key, v text);
create table shop.child (extra int) inherits (shop.parent);
create table shop.stopped (id int primary key);
insert into shop.payments values (1, 'EUR', '4111111111111111', 'a@b.example');
insert into shop.parts values (1, 'one'), (11, 'eleven');
"""
REGISTER = """
select paysync.set_mask_key('k1', 'a secret that is in no dump');
select paysync.register('shop.payments', 'money', row_filter => 'shop.is_euro(currency)', old_values => 'changed',
    masks => '{"pan": "last4", "email": {"mask": "hmac", "key": "k1"}}');
select paysync.register('shop.plain', operations => '{insert}', options => '{"replica": false}');
select paysync.register('shop.parts');
select paysync.register('shop.parent');
select paysync.register('shop.stopped');
select paysync.create_subscriber('before');
alter table shop.stopped disable trigger "!paysync_row";
"""
REGISTRATIONS = """select table_name, channel, operations, insert_only, capturing, reason, registered_by, columns, row_filter, masks, old_values,
    key_columns, new_columns, options from paysync.tables order by 1"""
TRIGGERS = """select tgrelid::regclass::text, tgname, tgenabled from pg_trigger where tgfoid = 'paysync.capture()'::regprocedure order by 1, 2"""
WRITE = """
insert into shop.payments values (2, 'EUR', '4222222222222222', 'b@b.example'), (3, 'USD', '4333', 'c@b.example');
insert into shop.plain values (1, 'x'); delete from shop.plain;
insert into shop.parts values (2, 'two'), (12, 'twelve');
insert into shop.child values (5, 'child', 1);
truncate shop.part_1;
"""
CHANGES = "select channel, op, table_name, key, old, new from paysync.peek(null, null)"


def program(name: str, database, *arguments, feed: bytes | None = None) -> bytes:
    """What a program of the server prints; an error of it is the test's."""
    command = [workspace.server_program(name), "--dbname", database.conninfo(), *map(str, arguments)]
    return subprocess.run(command, check=True, input=feed, capture_output=True, timeout=60).stdout


def restore_plain(source, target, _folder) -> bytes:
    """A script, by psql."""
    dumped = program("pg_dump", source)
    program("psql", target, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", feed=dumped)
    return dumped


def restore_parallel(source, target, folder) -> bytes:
    """An archive, by two sessions at once."""
    archive = folder / "dump"
    program("pg_dump", source, "--format=custom", "--file", archive)
    program("pg_restore", target, "--jobs=2", "--exit-on-error", archive)
    return subprocess.run([workspace.server_program("pg_restore"), "--file=-", archive], check=True, capture_output=True).stdout


def restore_sections(source, target, folder) -> bytes:
    """An archive, section by section."""
    archive = folder / "dump"
    program("pg_dump", source, "--format=custom", "--file", archive)
    for section in ("pre-data", "data", "post-data"):
        program("pg_restore", target, f"--section={section}", "--exit-on-error", archive)
    return archive.read_bytes()


@pytest.fixture
def restored(server):
    """An empty database."""
    made = server.create_database("restored")
    yield made
    server.drop_database(made.name)


@pytest.mark.parametrize("restore", [restore_plain, restore_parallel, restore_sections])
def test_a_restored_database_captures_as_before(database, restored, folder, restore):
    """Rule: registrations come with a dump, whichever way it is restored; what is not in it is the stream, and secrets."""
    database.execute(SCHEMA)
    database.execute(REGISTER)
    registrations, triggers = database.execute(REGISTRATIONS), database.execute(TRIGGERS)
    dumped = restore(database, restored, folder)
    assert b"in no dump" not in dumped and b"a secret".hex().encode() not in dumped
    assert restored.execute(TRIGGERS) == triggers
    assert restored.value("select count(*) from paysync.subscriber") == 0

    missing = {row[0]: row[5] for row in restored.execute(REGISTRATIONS) if not row[4]}
    assert missing == {"shop.payments": 'mask key "k1" is not set', "shop.stopped": 'trigger "!paysync_row" is disabled'}
    restored.execute("select paysync.set_mask_key('k1', 'a secret that is in no dump'); select paysync.create_subscriber('after')")
    assert restored.execute(REGISTRATIONS) == registrations
    assert restored.value("select count(*) from paysync.captured") == database.value("select count(*) from paysync.captured")

    changes = []
    for written in (database, restored):
        written.execute(WRITE)
        changes.append(written.execute(CHANGES))
    assert len(changes[1]) == 6 and changes[0][-6:] == changes[1]
    restored.execute("alter table shop.parts add column w int default 1; alter table shop.parts detach partition shop.part_2")
    assert [row[1:3] for row in restored.execute(CHANGES)[6:]] == [("alter", "shop.parts"), ("gap", "shop.parts")]


def test_a_key_that_is_missing_fails_writes_alone(database, restored, folder):
    """Rule: until its key is set again, only writes to a table that needs it fail; then it goes on without more."""
    database.execute(SCHEMA)
    database.execute(REGISTER)
    restore_plain(database, restored, folder)
    restored.execute("select paysync.create_subscriber('after')")
    restored.execute("insert into shop.plain values (1, 'x')")
    with restored.connect() as connection:
        with pytest.raises(Exception, match='mask key "k1" is not set') as refused:
            connection.execute("insert into shop.payments values (4, 'EUR', '4222222222222222', 'd@b.example')")
        assert refused.value.sqlstate == "55000"
        connection.execute("select paysync.set_mask_key('k1', 'another secret of this database')")
        connection.execute("insert into shop.payments values (4, 'EUR', '4222222222222222', 'd@b.example')")
        connection.execute("select paysync.maintain()")
        assert [row[1:3] for row in connection.execute(CHANGES)] == [("insert", "shop.plain"), ("insert", "shop.payments")]
        assert connection.execute("select count(*) from paysync.tables where not capturing").fetchone()[0] == 1
        connection.execute("alter table shop.payments rename column pan to card")
        assert connection.execute(CHANGES).fetchall()[-1][1] == "alter"
