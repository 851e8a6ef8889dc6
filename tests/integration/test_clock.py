"""The machine's clock may be set: what waits, waits by one that nobody sets."""

import subprocess

import psycopg

from harness import Postgres
from harness.outbox import Outbox

# The server's time of day is an hour back while there is a file SHIFT. Called in signal handlers too.
SHIFTED = r"""
#define _GNU_SOURCE
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec real;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &real);
    now->tv_sec = real.tv_sec - (access(SHIFT, F_OK) == 0 ? 3600 : 0);
    now->tv_usec = real.tv_nsec / 1000;
    return 0;
}
"""


def test_ticks_go_on_when_the_clock_is_set_back(folder):
    """Rule: the distance between two ticks is kept by the monotonic clock; one set back would be slept out."""
    source, library, shift = folder / "shifted.c", folder / "shifted.so", folder / "shift"
    source.write_text(SHIFTED)
    subprocess.run(["cc", "-shared", "-fPIC", f'-DSHIFT="{shift}"', "-o", library, source], check=True)
    with Postgres(folder / "pg", wrapper=["env", f"LD_PRELOAD={library}"]) as server:
        database = server.create_database("clock")
        database.execute("create extension paysync")
        database.execute("create table t (id bigserial primary key, note text)")
        database.execute("select paysync.register('t')")
        outbox = Outbox(database)
        with database.connect() as session:
            head, heads = outbox.head, []
            for turn in range(3):
                session.execute("insert into t (note) values ('paid')")
                begin = session.execute("select clock_timestamp()").fetchone()[0]
                session.execute("set statement_timeout = '10s'")
                try:
                    [head] = session.execute("call paysync.next_tick(%s::bigint, 0, 20, %s::bigint)",
                                             (outbox.epoch, head)).fetchone()
                except psycopg.errors.QueryCanceled:
                    raise AssertionError(f"tick {turn} did not come") from None
                heads.append(head)
                if turn == 0:
                    shift.touch()
                    assert session.execute("select clock_timestamp()").fetchone()[0] < begin, "the clock was not set back"
    assert heads == [heads[0], heads[0] + 1, heads[0] + 2]
