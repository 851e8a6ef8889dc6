"""Fixtures: a server for the session, a fresh database a test, servers to kill, relays and tails that end with their test."""

import contextlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "lib"),
                str(Path(__file__).parents[2] / "clients" / "python")]

import workspace  # noqa: E402
from harness import Postgres, Relay, Tail  # noqa: E402

TEMPLATE = "paysync_template"
DEADLINE = 120
numbers = itertools.count(1)


def pytest_configure(config):
    """Our only marker."""
    config.addinivalue_line("markers", f"deadline(seconds): how long this test may take, instead of {DEADLINE} s")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """No test hangs the run: after its deadline, set-up and clean-up included, it fails with the stack where it stood."""
    mark = item.get_closest_marker("deadline")
    seconds = mark.args[0] if mark else DEADLINE

    def stop(*_):
        signal.alarm(60)  # for the clean-up
        pytest.fail(f"the test took more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows the end of the logs of what ran for the test."""
    report = (yield).get_result()
    if report.failed:
        for name, log in getattr(item, "logs", []):
            report.sections.append((f"log of {name}", log()[-4000:]))


def show_log(request, name, program) -> None:
    """Have a failure of the test show what a program or server logs from now on."""
    start = len(program.log())
    request.node.logs = [*getattr(request.node, "logs", []), (name, lambda: program.log()[start:])]


@pytest.fixture(scope="session")
def server():
    """A server that all tests share; its log is kept in build/check."""
    postgres = Postgres(workspace.base() / "shared", tcp=True)
    try:
        with postgres:
            postgres.create_database(TEMPLATE).execute("create extension paysync")
            yield postgres
    finally:
        kept = workspace.BUILD / "check"
        kept.mkdir(parents=True, exist_ok=True)
        process = os.environ.get("PYTEST_XDIST_WORKER", "")
        (kept / f"integration-server{process}.log").write_text(postgres.log())


@pytest.fixture
def database(server, request):
    """A fresh database with the extension, dropped after the test."""
    show_log(request, "the server", server)
    made = server.create_database(f"test_{next(numbers)}", TEMPLATE)
    yield made
    server.drop_database(made.name)


@pytest.fixture
def folder():
    """A folder for a test's files, its path short enough for sockets, removed after the test."""
    path = Path(tempfile.mkdtemp(prefix="t", dir=workspace.base()))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def cluster(folder, request):
    """A started server of the test's own, to stop, kill and reconfigure."""
    postgres = Postgres(folder / "pg", tcp=True)
    show_log(request, "the cluster", postgres)
    with postgres:
        yield postgres


@pytest.fixture
def start_relay(folder, request):
    """A function that starts a relay: `start_relay(database, bind=None, arguments=None)`. Those still running at the end are
    stopped, which must succeed when the test did."""
    with contextlib.ExitStack() as stack:
        def start(database, **options) -> Relay:
            relay = Relay(database, folder, name=f"relay{next(numbers)}", **options)
            show_log(request, relay.name, relay)
            return stack.enter_context(relay)

        yield start


@pytest.fixture
def relay(database, start_relay):
    """A relay on the test's database."""
    return start_relay(database)


@pytest.fixture
def start_tail(folder, request):
    """A function that starts a tail: `start_tail(endpoint, subscriber=None, arguments=None)`."""
    with contextlib.ExitStack() as stack:
        def start(endpoint: str, **options) -> Tail:
            tail = Tail(endpoint, folder, name=f"tail{next(numbers)}", **options)
            show_log(request, tail.name, tail)
            return stack.enter_context(tail)

        yield start


# Tests see the environment of the run without a user's own libpq settings, which would change where they connect.
for variable in [name for name in os.environ if name.startswith("PG") and name != "PG_CONFIG"]:
    del os.environ[variable]
# Several relays may run at once, so each takes a free port for HTTP where it is not told another.
os.environ["PAYSYNC_HTTP"] = "127.0.0.1:0"
