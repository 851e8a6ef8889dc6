"""`paysync status`: what it shows, in which form, and with which status it ends."""

import json
import os
import signal
import subprocess

import pytest

import workspace
from harness.program import Program
from harness.waiting import wait_for

COMMAND = workspace.BUILD / "bin" / "paysync"


def status(dsn, *arguments, environment=None):
    """Run it to its end."""
    return subprocess.run([COMMAND, "status", *(["--dsn", dsn] if dsn is not None else []), *arguments], capture_output=True,
                          text=True, timeout=60, env={**os.environ, **(environment or {})})


def shown(dsn):
    """Its JSON."""
    done = status(dsn, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


@pytest.fixture
def mirror(database):
    """A registered table and two durable subscribers."""
    database.execute("create table payments (id bigint primary key)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    database.execute("select paysync.create_subscriber('reports')")
    return database


def test_it_works_without_a_relay(mirror):
    """Rule: it asks the database, so it says that no relay leads, and who waits."""
    mirror.execute("insert into payments values (1)")
    seen = shown(mirror.conninfo())
    assert seen["status"]["state"] == "no_relay" and seen["relays"] == []
    assert [(one["name"], one["state"], one["lag_transactions"]) for one in seen["subscribers"]] == [
        ("mirror", "never_seen", 1), ("reports", "never_seen", 1)]
    assert [one["state"] for one in seen["segments"]].count("current") == 1
    done = status(mirror.conninfo())
    assert done.returncode == 0 and done.stderr == ""
    for text in (f"{mirror.name}: no_relay", "Start paysync-relay", "capture: on", "relays: none", "mirror", "never_seen",
                 "segments", "current"):
        assert text in done.stdout, done.stdout
    assert "blocked by" not in done.stdout


def test_it_shows_relays_and_subscribers(mirror, start_relay, start_tail):
    """Rule: who leads, who streams; and a relay that stands still, within seconds."""
    relay = start_relay(mirror)
    tail = start_tail(relay.endpoint, subscriber="mirror")
    mirror.execute("insert into payments values (1)")
    tail.wait_for(1)
    wait_for(lambda: shown(mirror.conninfo())["subscribers"][0]["state"] == "streaming", 20, "it streams")
    text = status(mirror.conninfo()).stdout
    assert "leader" in text and "streaming" in text
    relay.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: "silent for" in status(mirror.conninfo()).stdout, 20, "the relay is silent")
        assert shown(mirror.conninfo())["status"]["state"] == "relay_silent"
    finally:
        relay.process.send_signal(signal.SIGCONT)


def test_it_shows_who_is_in_the_way(mirror):
    """Rule: open transactions that are waited for are named."""
    mirror.execute("""create or replace function paysync.blockers() returns jsonb language sql as $$
        select '[{"pid": 7, "gid": null, "table": "paysync.chunk_1", "what": "keeps it", "since": "2026-01-01T00:00:00Z"}]'::jsonb $$""")
    text = status(mirror.conninfo()).stdout
    assert "blocked by" in text and "keeps it" in text and "paysync.chunk_1" in text


def test_a_monitor_may_look(mirror, server):
    """Rule: grant_monitor() is all that a role needs; without it the error says so."""
    role = f"watcher_{mirror.name}"
    mirror.execute(f"create role {role} login")
    try:
        dsn = mirror.conninfo(role)
        refused = status(dsn)
        assert refused.returncode == 1 and "grant_monitor" in refused.stderr
        mirror.execute(f"select paysync.grant_monitor('{role}')")
        assert shown(dsn)["status"]["state"] == "no_relay"
        assert status(dsn).returncode == 0
    finally:
        mirror.execute(f"drop owned by {role}")
        mirror.execute(f"drop role {role}")


def test_what_it_cannot_ask(server, database):
    """Rule: status 1 with a hint where the database, the extension or a right is missing, 2 for wrong usage."""
    nowhere = status("host=/nonexistent dbname=x")
    assert nowhere.returncode == 1 and "--dsn" in nowhere.stderr
    bare = server.create_database(f"bare_{database.name}")
    try:
        missing = status(bare.conninfo())
        assert missing.returncode == 1 and "CREATE EXTENSION paysync" in missing.stderr
        assert status(bare.conninfo(), "--watch").returncode == 1
    finally:
        server.drop_database(bare.name)
    assert status(None, "--no-such-flag").returncode == 2
    assert status(None, environment={"PAYSYNC_DSN": database.conninfo()}).returncode == 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_watching(mirror, folder, form):
    """Rule: --watch shows it again and again, and ends with status 0 when it is told to."""
    watcher = Program(folder, "watcher", [COMMAND, "status", "--dsn", mirror.conninfo(), "--watch", *form])
    watcher.launch()
    watcher.wait_for_out(lambda text: text.count("no_relay") >= 3, 20, "it was shown three times")
    assert watcher.stop() == 0
    if form:
        assert all(json.loads(line)["status"]["state"] == "no_relay" for line in watcher.out().splitlines())


def test_names_do_not_steer_the_terminal(mirror):
    """Rule: what others wrote is shown without control characters."""
    mirror.execute("""create or replace function paysync.status_hint(state text) returns text language sql as
        $$ select E'red\\x1b[31m\\u009b and\\nmore' $$""")
    text = status(mirror.conninfo()).stdout
    assert "red?[31m?? and?more" in text
