"""Metrics and health over HTTP: what they say while all is well, while the database is away, and on a relay that stands by."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import workspace
from harness import free_port, wait_for
from harness.prometheus import Metrics, get
from paysync import Subscriber


@pytest.fixture
def payments(database):
    """A registered table and the subscriber "mirror"."""
    database.execute("create table payments (id bigint primary key)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    return database


def until(address: str, condition, deadline: float = 20.0) -> Metrics:
    """Scrape until `condition(metrics)` holds, and return that scrape. A series that is not there yet counts as not."""
    def look():
        metrics = Metrics(address)
        try:
            return metrics if condition(metrics) else None
        except KeyError:
            return None

    return wait_for(look, deadline, lambda: f"the metrics say so; they are\n{Metrics(address).text}")


def test_what_is_sent_is_counted(payments, relay):
    """Rule: lags, state, position and counters follow what is written, sent and acknowledged."""
    address = relay.http_address()
    until(address, lambda m: m.state("mirror") == "never_seen" and m["paysync_lag_seconds", "mirror"] == 0)
    payments.execute("insert into payments values (1)")
    payments.execute("insert into payments values (2)")
    behind = until(address, lambda m: m["paysync_lag_transactions", "mirror"] == 2 and m["paysync_head_number"] == 2)
    assert behind["paysync_lag_seconds", "mirror"] > 0 and behind["paysync_lag_bytes", "mirror"] > 0
    assert behind["paysync_relay_is_leader"] == behind["paysync_relay_ready"] == behind["paysync_database_up"] == 1
    assert behind.find("paysync_status", state="ok") == 1 and behind["paysync_parked_transactions", "mirror"] == 0
    assert 0 < behind["paysync_outbox_bytes"] < behind["paysync_outbox_limit_bytes"] == 10 << 30
    assert behind["paysync_last_tick_age_seconds"] < 60
    with Subscriber(relay.endpoint, "mirror") as subscriber:
        for _ in range(2):
            subscriber.acknowledge(subscriber.receive(10).position)
        done = until(address, lambda m: m.state("mirror") == "streaming" and m["paysync_lag_transactions", "mirror"] == 0)
        assert done["paysync_lag_seconds", "mirror"] == 0
        assert done["paysync_sent_transactions_total"] == 2 and done["paysync_sent_bytes_total"] > 0
        assert done.find("paysync_sessions", place="head") + done.find("paysync_sessions", place="behind") == 1
        assert done["paysync_sessions_opened_total"] == 1 and done["paysync_ticks_total"] >= 1
    until(address, lambda m: m["paysync_sessions_ended_total"] == 1)


def test_prometheus_takes_the_metrics(payments, relay):
    """Rule: what promtool finds wrong with the metrics is nothing. The strict parser of every scrape is the test where there is none."""
    promtool = shutil.which("promtool")
    metrics = until(relay.http_address(), lambda m: m.state("mirror"))
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= metrics.names()
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=metrics.text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_metric_is_documented(payments, relay):
    """Rule: docs/relay.md lists every metric with its type and its labels, and none that is not there."""
    metrics = until(relay.http_address(), lambda m: m.state("mirror"))
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics.text, re.MULTILINE))
    labels = {name: {label for (other, found) in metrics.series if other == name for label, _ in found} for name in kinds}
    text = (workspace.ROOT / "docs" / "relay.md").read_text()
    rows = re.findall(r"^\| `((?:paysync|process)_\w+)(?:\{([\w, ]+)\})?` \| (gauge|counter) \|", text, re.MULTILINE)
    documented = {name: (kind, set(re.split(", ?", found)) if found else set()) for name, found, kind in rows}
    assert documented == {name: (kind, labels[name]) for name, kind in kinds.items()}


def test_ephemeral_subscribers_have_no_series(payments, relay):
    """Rule: who connects without a name makes no series: anybody could make them without end."""
    address = relay.http_address()
    with Subscriber(relay.endpoint) as subscriber:
        wait_for(lambda: subscriber.receive(0.1) or payments.value("select count(*) from paysync.subscriber where ephemeral"), 10)
        # What is seen was asked for after the subscriber was there.
        until(address, lambda m: m["paysync_sessions_opened_total"] == 1 and m["paysync_observation_age_seconds"] > 1.2)
        metrics = until(address, lambda m: m["paysync_observation_age_seconds"] < 1)
        assert {dict(labels)["subscriber"] for (_, labels) in metrics.series if dict(labels).get("subscriber")} == {"mirror"}


@pytest.fixture
def away(cluster, start_relay):
    """(server, database, relay) of the test's own, with the subscriber "behind" that has one transaction to take and "up_to_date"
    that has none."""
    database = cluster.create_database("away")
    database.execute("create extension paysync")
    database.execute("create table payments (id bigint primary key)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('behind')")
    database.execute("insert into payments values (1)")
    relay = start_relay(database)
    until(relay.http_address(), lambda m: m["paysync_lag_transactions", "behind"] == 1)
    database.execute("select paysync.create_subscriber('up_to_date')")
    until(relay.http_address(), lambda m: m["paysync_lag_transactions", "up_to_date"] == 0)
    return cluster, database, relay


def test_lag_grows_while_the_database_is_away(away):
    """Rule: while the database cannot be asked lags grow by themselves, also those of 0, states are unknown, and readiness says why;
    when it is back all is as it was."""
    cluster, _, relay = away
    address = relay.http_address()
    cluster.stop()
    gone = until(address, lambda m: m["paysync_database_up"] == 0)
    assert gone["paysync_relay_is_leader"] == gone["paysync_relay_ready"] == 0
    assert get(address, "/readyz")[::2] == (503, "the database is away\n") and get(address, "/healthz")[::2] == (200, "ok\n")
    first, at_first = Metrics(address)["paysync_lag_seconds", "behind"], time.monotonic()
    later = until(address, lambda m: m["paysync_observation_age_seconds"] > 7)
    passed = time.monotonic() - at_first
    assert passed - 0.5 < later["paysync_lag_seconds", "behind"] - first < passed + 0.5
    assert later["paysync_lag_seconds", "up_to_date"] > 7
    assert later.state("behind") == later.state("up_to_date") == "unknown" and later.find("paysync_status", state="unknown") == 1
    cluster.start()
    back = until(address, lambda m: m["paysync_relay_ready"] == 1 and m.state("up_to_date") == "never_seen", 40)
    assert back["paysync_lag_seconds", "up_to_date"] == 0 and back["paysync_lag_transactions", "behind"] == 1
    assert back["paysync_leads_total"] == 2 and get(address, "/readyz")[::2] == (200, "ready\n")


def test_a_frozen_database_looks_frozen(away):
    """Rule: a server that answers nothing, its connections open, shows the same: lag grows."""
    _, database, relay = away
    address = relay.http_address()
    pids = [pid for (pid,) in database.execute("select pid from pg_stat_activity where application_name like 'paysync-relay%'")]
    assert len(pids) >= 2
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        stale = until(address, lambda m: m["paysync_observation_age_seconds"] > 7)
        assert stale["paysync_lag_seconds", "behind"] > 7 and stale["paysync_lag_seconds", "up_to_date"] > 7
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    until(address, lambda m: m["paysync_lag_seconds", "up_to_date"] == 0)


def test_a_relay_on_standby(payments, relay, start_relay, folder):
    """Rule: a relay that stands by says that it does not lead and shows no lags; after the other's death it leads and shows them."""
    from harness import Relay
    until(relay.http_address(), lambda m: m.state("mirror"))
    second = Relay(payments, folder, name="second")
    second.launch()
    try:
        address = second.http_address()
        waiting = until(address, lambda m: m["paysync_database_up"] == 1)
        assert waiting["paysync_relay_is_leader"] == waiting["paysync_relay_ready"] == 0
        assert not {"paysync_lag_seconds", "paysync_outbox_bytes", "paysync_subscriber_state"} & waiting.names()
        wait_for(lambda: get(address, "/readyz")[::2] == (503, "another relay leads\n"), 10)
        assert get(address, "/healthz")[0] == 200
        relay.kill()
        until(address, lambda m: m["paysync_relay_is_leader"] == 1 and m.state("mirror"), 30)
        wait_for(lambda: get(address, "/readyz")[0] == 200, 10)
    finally:
        second.kill()


def test_who_led_before_forgets(cluster, start_relay, folder):
    """Rule: a relay that lost the database and finds another one leading shows no lags of its own after 10 s."""
    from harness import Relay
    database = cluster.create_database("pay")
    database.execute("create extension paysync")
    database.execute("select paysync.create_subscriber('mirror')")
    first = start_relay(database)
    until(first.http_address(), lambda m: m.state("mirror"))
    second = Relay(database, folder, name="second")
    second.launch()
    try:
        os.kill(first.process.pid, signal.SIGSTOP)
        database.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'paysync-relay%'")
        until(second.http_address(), lambda m: m["paysync_relay_is_leader"] == 1, 30)
        os.kill(first.process.pid, signal.SIGCONT)
        until(first.http_address(), lambda m: m["paysync_relay_is_leader"] == 0)
        until(first.http_address(), lambda m: "paysync_lag_seconds" not in m.names(), 40)
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
        second.kill()


def test_paths_and_methods(relay):
    """Rule: three pages, GET and HEAD; everything else is 404 or 405 with the right word, never a hang."""
    address = relay.http_address()
    assert get(address, "/")[::2] == (404, "there are /metrics, /healthz and /readyz\n")
    assert get(address, "/metrics/")[0] == get(address, "/METRICS")[0] == 404
    status, headers, _ = get(address, "/metrics", "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    status, headers, body = get(address, "/healthz?deep=1", "HEAD")
    assert (status, body, headers["connection"]) == (200, "", "close")
    wait_for(lambda: get(address, "/readyz")[::2] == (200, "ready\n"), 10)


def test_the_address_is_said(database, start_relay):
    """Rule: the ready line names the address with its real port; with none nothing is served and nothing said."""
    relay = start_relay(database)
    assert f" http={relay.http_address()}\n" in relay.out() and re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", relay.http_address())
    relay.stop()
    silent = start_relay(database, http="")
    assert "http" not in silent.out() and "http" not in silent.log()


def test_an_address_in_use(database, relay):
    """Rule: an address of HTTP that is taken ends the relay with status 1 before it serves."""
    done = subprocess.run([workspace.BUILD / "bin" / "paysync-relay", "--dsn", database.conninfo(), "--http", relay.http_address(),
                           "--bind", f"tcp://127.0.0.1:{free_port()}", "--log-level", "error"], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f'paysync-relay: cannot serve HTTP at "{relay.http_address()}": Address already in use\nhint: ')
