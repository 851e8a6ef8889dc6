"""The blows themselves: what each kind of a schedule does, now. One that meets a server that is down has missed."""

import os
import signal

import psycopg

from harness.faults import kill, kill_server
from harness.waiting import wait_for

from . import ledger

KILLED = "was terminated by signal 9"
READY = "database system is ready to accept connections"


class Blows:
    """Strikes a stage (stage.py). A method for each kind; what it gives back is called when the blow is over."""

    def __init__(self, stage):
        self.stage = stage

    def strike(self, blow):
        """Do it; returns what ends it, or None. Missing is no error."""
        try:
            return getattr(self, blow.kind)(blow)
        except psycopg.Error as error:
            self.stage.note(f"missed: {str(error).splitlines()[0]}")
            return None

    def _relay(self, blow):
        return self.stage.relays[int(blow.luck * len(self.stage.relays))]

    def _down(self, actor, number: int):
        """End an actor by a signal; it is wanted again afterwards."""
        actor.wanted = False
        actor.send(signal.SIGCONT)
        actor.send(number)
        return lambda: setattr(actor, "wanted", True)

    def _stopped(self, actor):
        actor.send(signal.SIGSTOP)
        return lambda: actor.send(signal.SIGCONT)

    def relay_kill(self, blow):
        return self._down(self._relay(blow), signal.SIGKILL)

    def relay_end(self, blow):
        return self._down(self._relay(blow), signal.SIGTERM)

    def relay_stop(self, blow):
        return self._stopped(self._relay(blow))

    def relay_loses_lease(self, _):
        """The leader stands still and its sessions are ended: the other one takes over, and the first must notice when it goes on."""
        back = [self._stopped(relay) for relay in self.stage.relays[:1]]
        self._terminate("application_name like 'paysync-relay%'")
        return back[0]

    def relay_loses_backend(self, blow):
        kinds = ("paysync-relay leader", "paysync-relay%")
        self._terminate(f"application_name like '{kinds[int(blow.luck * len(kinds))]}'")

    def writer_terminated(self, _):
        self._terminate("application_name = 'writer'")

    def _terminate(self, condition: str) -> None:
        self.stage.source.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = 'source' and {condition}")

    def _backends(self, application: str) -> list:
        return [pid for (pid,) in self.stage.source.execute(
            "select pid from pg_stat_activity where datname = 'source' and application_name like %s and pid <> pg_backend_pid() order by pid", (application,))]

    def writer_stop(self, blow):
        """A writer's backend stands still wherever it is: perhaps between its closing record and its commit."""
        found = self._backends("writer")
        if not found:
            return None
        pid = found[int(blow.luck * len(found))]
        signal_backend(pid, signal.SIGSTOP)
        return lambda: signal_backend(pid, signal.SIGCONT)

    def backend_kill(self, blow):
        """SIGKILL to one backend, after which the server throws all others out and recovers."""
        found = self._backends("%")
        if not found:
            return
        server = self.stage.server
        before = len(server.log())
        self.stage.wake_backends()
        kill(found[int(blow.luck * len(found))])
        try:
            wait_for(lambda: KILLED in server.log()[before:], 5)
        except AssertionError:
            self.stage.note("missed: it was ending by itself")
            return
        wait_for(lambda: READY in server.log()[before:], 60, "the server has recovered")

    def server_immediate(self, _):
        self._restart(lambda server: server.stop("immediate"))

    def server_fast(self, _):
        self._restart(lambda server: server.stop("fast"))

    def server_crash(self, _):
        self._restart(lambda server: kill_server(server, self.stage.chance))

    def postmaster_kill(self, _):
        self._restart(lambda server: server.kill9_postmaster())

    def _restart(self, stop) -> None:
        # A backend that stands still would keep the server from ending.
        self.stage.wake_backends()
        stop(self.stage.server)
        self.stage.server.start()

    def target_immediate(self, _):
        """The server of a subscriber that keeps its position beside its data."""
        self.stage.target_server.stop("immediate")
        self.stage.target_server.start()

    def checkpoint(self, _):
        self.stage.source.execute("checkpoint")

    def maintain(self, _):
        self.stage.source.execute("select paysync.maintain()")

    def replay(self, blow):
        """What it had before comes again to a subscriber whose position is in the database, or that obeys."""
        self.stage.replayed.add(blow.whom)
        with self.stage.source.connect() as session, session.transaction():
            session.execute("set local synchronous_commit = on")
            [has] = session.execute("select number from paysync.acknowledged() where name = %s", (blow.whom,)).fetchone()
            if blow.luck < 0.5:
                found = session.execute("select paysync.replay(%s, since => clock_timestamp() - %s * interval '1 second')",
                                        (blow.whom, 10 * blow.luck)).fetchone()
            else:
                found = session.execute("select paysync.replay(%s, from_position => %s)", (blow.whom, self._position(blow.luck))).fetchone()
            if int(found[0].split(":")[1]) > has:
                # Forward: who asks for that gives up what lies between.
                self.stage.note(f"not replayed: {blow.whom} has only {has}")
                raise psycopg.Rollback

    def pause(self, blow):
        """Nothing comes to it for a while."""
        self.stage.paused.add(blow.whom)
        self._call("select paysync.pause_subscriber(%s)", blow.whom)
        return lambda: self.resume(blow.whom)

    def resume(self, name: str) -> None:
        """The end of a pause; where the server is down it comes with the peace."""
        try:
            self._call("select paysync.resume_subscriber(%s)", name)
            self.stage.paused.discard(name)
        except psycopg.OperationalError:
            self.stage.note(f"{name} stays paused")

    def skip(self, blow):
        """One of the newest transactions is taken out of the stream of a subscriber that has not acknowledged it."""
        if blow.whom != "auditor":  # whose copy of the source is compared in the end
            self._call("select paysync.skip(%s, %s, 'by chance')", blow.whom, self._position(blow.luck / 4))

    def _position(self, fraction: float) -> str | None:
        return ledger.some_position(self.stage.subscribers["auditor"].ledger, fraction)

    def _call(self, statement: str, *parameters) -> None:
        """As an operator would, who waits until it is durable."""
        with self.stage.source.connect() as session:
            session.execute("set synchronous_commit = on")
            session.execute(statement, parameters)

    def subscriber_kill(self, blow):
        return self._down(self.stage.subscribers[blow.whom], signal.SIGKILL)

    def subscriber_end(self, blow):
        return self._down(self.stage.subscribers[blow.whom], signal.SIGTERM)

    def subscriber_stop(self, blow):
        return self._stopped(self.stage.subscribers[blow.whom])


def signal_backend(pid: int, number: int) -> None:
    """A signal to a server's process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
