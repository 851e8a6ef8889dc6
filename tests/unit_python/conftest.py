"""Makes the package importable from the tree, and the fake relay available to tests."""

from __future__ import annotations

import pathlib
import sys
import tempfile

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS.parents[1] / "clients" / "python"))

from fake_relay import QUICK, FakeRelay  # noqa: E402
from throwaway_postgres import Postgres  # noqa: E402

from paysync import Subscriber  # noqa: E402

# No folder of its own in the tree, no examples kept, and no time limit on a busy machine.
set_hypothesis_home_dir(str(pathlib.Path(tempfile.gettempdir()) / "paysync-hypothesis"))
settings.register_profile("paysync", database=None, deadline=None)
settings.load_profile("paysync")


@pytest.fixture
def relay():
    """A relay that does what the test says and records what it hears."""
    with FakeRelay() as fake:
        yield fake


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of its own."""
    with Postgres() as server:
        yield server


@pytest.fixture
def subscribe(relay):
    """Makes subscribers of the fake relay with short time-outs, closed after the test."""
    made = []

    def make(name="mirror", timings=QUICK, **options):
        made.append(Subscriber(options.pop("relay", relay.endpoint), name, timings=timings, **options))
        return made[-1]

    yield make
    for subscriber in made:
        subscriber.close()
