"""Sessions that one thread drives: a statement that waits for a lock is left waiting, and the others go on."""

from concurrent.futures import ThreadPoolExecutor, wait

import psycopg

# How long a statement may take before we look whether it waits for a lock, and a bound for one that does not.
LOOK_AFTER = 0.004
STUCK_AFTER = 60.0
BLOCKED = "select pid from unnest(%s::int[]) as pid where cardinality(pg_blocking_pids(pid)) > 0"


class Session:
    """A connection whose statements run in a thread of their own."""

    def __init__(self, database, number: int):
        self.number = number
        self.connection = database.connect()
        self.pid = self.connection.info.backend_pid
        self.pool = ThreadPoolExecutor(1)
        self.future = None
        self.then = None

    def submit(self, work, then) -> None:
        """Begin `work(connection)`; when it is done, `then(error)` is called by the driver, with None or the psycopg.Error."""
        assert self.future is None
        self.then = then
        self.future = self.pool.submit(work, self.connection)

    def finish(self) -> None:
        """Tell that the work is done."""
        future, then, self.future = self.future, self.then, None
        error = future.exception()
        if error is not None and not isinstance(error, psycopg.Error):
            raise error
        then(error)

    @property
    def status(self):
        """The transaction's status."""
        return self.connection.info.transaction_status

    def close(self) -> None:
        """End the connection, which ends what it does."""
        self.connection.cancel()
        self.pool.shutdown()
        self.connection.close()


class Driver:
    """The sessions of a database, of which one begins a statement at a time."""

    def __init__(self, database, count: int):
        self.observer = database.connect()
        self.sessions = [Session(database, number) for number in range(count)]

    def settle(self) -> None:
        """Wait until every statement is done or waits for a lock, and tell which are done."""
        waited = 0.0
        while pending := [session for session in self.sessions if session.future is not None]:
            wait([session.future for session in pending], LOOK_AFTER)
            waited += LOOK_AFTER
            for session in pending:
                if session.future.done():
                    session.finish()
            pending = [session for session in pending if session.future is not None]
            if not pending or len(self._blocked(pending)) == len(pending):
                return
            assert waited < STUCK_AFTER, f"statements neither end nor wait for a lock: {self._activity()}"

    def _blocked(self, pending: list) -> list:
        found = self.observer.execute(BLOCKED, ([session.pid for session in pending],)).fetchall()
        # One that was done between the two looks is not blocked.
        return [row for row in found]

    def _activity(self) -> list:
        return self.observer.execute("select pid, state, wait_event_type, wait_event, left(query, 200) from pg_stat_activity "
                                     "where datname = current_database()").fetchall()

    def free(self) -> list:
        """The sessions that can begin a statement."""
        return [session for session in self.sessions if session.future is None]

    def close(self) -> None:
        """End all sessions."""
        for session in self.sessions:
            session.close()
        self.observer.close()
