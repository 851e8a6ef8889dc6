"""SIGHUP and sd_notify: what a running relay takes over, what it keeps, and what it tells systemd."""

import os
import signal
import socket

import pytest

from harness import Relay, wait_for
from harness.prometheus import Metrics
from paysync import Subscriber

MIB = 1 << 20


@pytest.fixture
def config(folder):
    """A configuration file."""
    path = folder / "relay.toml"
    path.write_text("window_bytes = 67108864\n")
    return path


def hang_up(relay, event: str) -> str:
    """SIGHUP, and wait for one more line of an event; returns the lines that came."""
    before = len(relay.log())
    os.kill(relay.process.pid, signal.SIGHUP)
    wait_for(lambda: f" {event} " in relay.log()[before:], 10, lambda: f"{event}: {relay.log()[before:]}")
    return relay.log()[before:]


def window_limit(relay) -> int:
    """What the relay's window is limited to."""
    return Metrics(relay.http_address())["paysync_window_limit_bytes"]


def test_sizes_change_while_subscribers_are_served(database, start_relay, config):
    """Rule: a reload changes sizes without ending a session; the next page and batch have the new ones."""
    database.execute("create table payments (id bigint primary key, note text)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    relay = start_relay(database, arguments=["--config", config])
    with Subscriber(relay.endpoint, "mirror") as subscriber:
        database.execute("insert into payments values (0)")
        assert subscriber.receive(10).changes[0].key == {"id": 0}

        def batches_for_100(start: int) -> float:
            # A report is half a second old at most, so the last batch may not be in it yet.
            wait_for(lambda: Metrics(relay.http_address())["paysync_sent_transactions_total"] == start, 10)
            before = Metrics(relay.http_address())["paysync_batches_sent_total"]
            with database.connect(autocommit=False) as session:
                for number in range(start, start + 100):
                    session.execute("insert into payments values (%s, repeat('x', 1500))", (number,))
                    session.commit()
            for number in range(start, start + 100):
                assert subscriber.receive(10).changes[0].key == {"id": number}
            wait_for(lambda: Metrics(relay.http_address())["paysync_sent_transactions_total"] >= start + 99, 10)
            return Metrics(relay.http_address())["paysync_batches_sent_total"] - before

        config.write_text(f"window_bytes = {2 * MIB}\nbatch_bytes = 1024\nverify = false\n")
        assert "reloaded changed=window_bytes,batch_bytes,verify\n" in hang_up(relay, "reloaded")
        # Each transaction is longer than a batch is meant to be, so each goes alone, however they were ticked.
        assert batches_for_100(1) == 100
        wait_for(lambda: window_limit(relay) == 2 * MIB, 5)
        assert "session_ended" not in relay.log()
    assert "reloaded changed=nothing\n" in hang_up(relay, "reloaded")


def test_the_log_changes_at_once(database, start_relay, config):
    """Rule: log level and format change with the next line."""
    relay = start_relay(database, arguments=["--config", config])
    config.write_text('log_format = "json"\n')
    os.kill(relay.process.pid, signal.SIGHUP)
    wait_for(lambda: '"event":"reloaded","changed":"log_format"}\n' in relay.log(), 10)
    config.write_text('log_level = "error"\n')
    os.kill(relay.process.pid, signal.SIGHUP)
    wait_for(lambda: Metrics(relay.http_address()).find("paysync_reloads_total", result="ok") == 2, 10)
    assert relay.log().count("reloaded") == 1


@pytest.mark.parametrize("broken", ['window_bytes = 1048576\nbatch_bytes = 1\n', "window_bytes = 1048576\nwindw = 1\n", "[", None],
                         ids=["a bad value behind a good one", "an unknown key", "no TOML", "no file"])
def test_a_broken_file_changes_nothing(database, start_relay, config, broken):
    """Rule: a file that is wrong anywhere changes nothing, is said as an error with its line, and the relay goes on."""
    relay = start_relay(database, arguments=["--config", config])
    if broken is None:
        config.unlink()
    else:
        config.write_text(broken)
    lines = hang_up(relay, "reload_failed")
    assert str(config) in lines and "reloaded" not in lines
    wait_for(lambda: Metrics(relay.http_address()).find("paysync_reloads_total", result="failed") == 1, 10)
    assert window_limit(relay) == 64 * MIB
    config.write_text(f"window_bytes = {MIB}\n")
    hang_up(relay, "reloaded")
    wait_for(lambda: window_limit(relay) == MIB, 5)


def test_a_pipe_for_a_file_does_not_stop_the_loop(database, start_relay, config):
    """Rule: a file that became a pipe is an error of the reload: nobody writes to it, and reading it would never end."""
    relay = start_relay(database, arguments=["--config", config])
    config.unlink()
    os.mkfifo(config)
    assert "it is a pipe" in hang_up(relay, "reload_failed")


def test_what_cannot_change_is_said(database, folder, config, monkeypatch):
    """Rule: dsn, bind and http keep their values; a warning names those that differ, never their values."""
    monkeypatch.delenv("PAYSYNC_HTTP")
    config.write_text('http = "127.0.0.1:0"\n')
    relay = Relay(database, folder, arguments=["--config", config], http=None)
    bind = relay.command.index("--bind")
    endpoint = relay.command[bind + 1]
    del relay.command[bind:bind + 2]
    config.write_text(f'http = "127.0.0.1:0"\nbind = "{endpoint}"\n')
    with relay:
        config.write_text(f'http = ""\nbind = "ipc://{folder}/secret"\nbatch_bytes = 2048\n')
        lines = hang_up(relay, "reloaded")
        assert "warning reload_ignored keys=bind,http hint=" in lines and "secret" not in lines
        assert "reloaded changed=batch_bytes\n" in lines
        assert Metrics(relay.http_address())["paysync_relay_is_leader"] == 1


class Systemd:
    """The socket that sd_notify speaks to."""

    def __init__(self, path, monkeypatch):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        self.heard = []

    def listen(self) -> list:
        """All that was said so far."""
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until a message with this text has come so often."""
        wait_for(lambda: sum(text in said for said in self.listen()) >= count, 15, lambda: f"{text}: {self.heard}")


@pytest.fixture
def systemd(folder, monkeypatch):
    """A systemd that listens to the relays of the test; its watchdog wants a word every second."""
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    heard = Systemd(folder / "notify", monkeypatch)
    yield heard
    heard.socket.close()


def test_systemd_is_told(database, start_relay, config, systemd):
    """Rule: READY when it serves, RELOADING with a time and READY around a reload, WATCHDOG while the loop turns, STOPPING."""
    relay = start_relay(database, arguments=["--config", config])
    systemd.wait_for("READY=1")
    assert "STATUS=serving " in [said for said in systemd.heard if "READY=1" in said][0]
    systemd.wait_for("WATCHDOG=1", 3)
    hang_up(relay, "reloaded")
    systemd.wait_for("READY=1", 2)
    said = [text for text in systemd.heard if "RE" in text]
    assert said[1].startswith("RELOADING=1\nMONOTONIC_USEC=") and said[2] == "READY=1"
    relay.stop()
    systemd.wait_for("STOPPING=1")


def test_a_reload_makes_no_standby_ready(database, relay, folder, config, systemd):
    """Rule: a relay that stands by is not ready for systemd, also after a reload."""
    second = Relay(database, folder, name="second", arguments=["--config", config])
    second.launch()
    try:
        wait_for(lambda: "another_relay_leads" in second.log(), 10)
        hang_up(second, "reloaded")
        systemd.wait_for("WATCHDOG=1", 2)
        assert not [said for said in systemd.listen() if "READY" in said or "RELOADING" in said]
    finally:
        second.kill()
