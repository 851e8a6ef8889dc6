"""The test suites: what each runs, with what limit of time, and how its result is read."""

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import workspace
from outcome import Outcome, read_junit, read_regress
from workspace import BUILD, ROOT

CHECK = BUILD / "check"
TIME_IS_OVER = 124
# Two processes of pytest, a file's tests in one of them: most tests wait most of the time.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile"]


class Suite:
    """One suite's run: its log, its limit in seconds and the names the user asked for (FILTER)."""

    def __init__(self, name: str, limit: float, pattern: str = ""):
        self.name = name
        self.pattern = pattern
        self.ends = time.monotonic() + limit
        self.limit = limit
        self.log = CHECK / f"{name}.log"
        self.outcome = Outcome()
        CHECK.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")

    def run(self, command: list, **environment: str) -> int:
        """Run a program to its end or the suite's limit, output to the log; returns its exit status, TIME_IS_OVER if it was stopped."""
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **environment}, start_new_session=True)
            try:
                return process.wait(timeout=max(1.0, self.ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.outcome.fail(f"{self.name}: stopped after {self.limit:.0f} s")
                return TIME_IS_OVER
            finally:
                end_group(process)

    def take(self, junit: Path, status: int, what: str) -> None:
        """Add a JUnit file's counts. A program that left none, or failed without naming a test, is itself a failure."""
        try:
            outcome = read_junit(junit)
        except (OSError, ElementTree.ParseError):
            outcome = Outcome()
            outcome.fail(f"{what}: crashed or wrote no result (exit status {status})")
        if status not in (0, TIME_IS_OVER) and not outcome.failed:
            outcome.fail(f"{what}: exit status {status}")
        self.outcome.add(outcome)


def end_group(process: subprocess.Popen) -> None:
    """End what is left of a program's process group: an interrupt first, so that fixtures clean up, then SIGKILL."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run_unit(suite: Suite) -> None:
    """GoogleTest programs, one after the other, with every sanitizer finding fatal."""
    for source in sorted((ROOT / "tests" / "unit").glob("*.cpp")):
        junit = CHECK / f"unit-{source.stem}.xml"
        junit.unlink(missing_ok=True)
        command = [BUILD / "unit" / source.stem, f"--gtest_output=xml:{junit}"]
        if suite.pattern:
            command.append(f"--gtest_filter={suite.pattern}")
        status = suite.run(command, LSAN_OPTIONS=f"suppressions={workspace.ROOT / 'tests' / 'unit' / 'lsan.supp'}:print_suppressions=0",
                           ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1",
                           UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
        suite.take(junit, status, source.stem)


def run_pytest(suite: Suite, arguments: list) -> None:
    """pytest with the harness and the Python client importable. Exit status 5 is pytest's "no test was run"."""
    junit = CHECK / f"{suite.name}.xml"
    junit.unlink(missing_ok=True)
    path = os.pathsep.join(str(ROOT / folder) for folder in ("clients/python", "tests/integration", "tests/lib"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ROOT, "--color=no",
               "-W", "error::pytest.PytestUnhandledThreadExceptionWarning",
               "--durations=10", "--tb=short", f"--junitxml={junit}", f"--basetemp={CHECK / 'pytest'}", *arguments]
    if suite.pattern:
        command += ["-k", suite.pattern]
    # Whatever a test puts into a temporary folder goes with ours.
    status = suite.run(command, TMPDIR=str(workspace.base()), PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1",
                       HYPOTHESIS_STORAGE_DIRECTORY=str(BUILD / "hypothesis"))
    suite.take(junit, 0 if status == 5 else status, suite.name)


def run_regress(suite: Suite, wrapper: list | None = None) -> None:
    """pg_regress over tests/regress, or pg_isolation_regress over tests/isolation, on a throw-away server, which runs under the
    command `wrapper` if there is one."""
    sys.path.insert(0, str(ROOT / "tests" / "integration"))
    from harness.postgres import Postgres

    isolation = suite.name == "isolation"
    source = ROOT / "tests" / suite.name
    names = regress_names(source, "specs/*.spec" if isolation else "sql/*.sql", suite.pattern)
    if not names:
        return
    output = CHECK / suite.name
    output.mkdir(exist_ok=True)
    program = "isolation/pg_isolation_regress" if isolation else "regress/pg_regress"
    with Postgres(workspace.base() / suite.name, wrapper=wrapper) as server:
        status = suite.run([
            workspace.server_test_program(program), f"--inputdir={source}", f"--outputdir={output}",
            f"--bindir={workspace.pg_config('--bindir')}", f"--host={server.socket_folder}", f"--port={server.port}",
            "--user=postgres", f"--dbname=paysync_{suite.name}", *(["--load-extension=paysync"] if isolation else []), *names])
        (CHECK / f"{suite.name}-server.log").write_text(server.log())
    outcome = read_regress(suite.log.read_text(errors="replace"))
    missing = len(names) - outcome.total
    if missing > 0:
        outcome.fail(f"{suite.name}: {missing} of {len(names)} tests gave no result (exit status {status})")
    elif status != 0 and not outcome.failed:
        outcome.fail(f"{suite.name}: exit status {status}")
    suite.outcome.add(outcome)
    differences = output / "regression.diffs"
    if differences.exists() and outcome.failed:
        with suite.log.open("a") as log:
            log.write(differences.read_text(errors="replace"))


def regress_names(source: Path, files: str, pattern: str) -> list:
    """The tests of a folder in name order, or those that FILTER names (separated by blanks)."""
    names = [path.stem for path in sorted(source.glob(files))]
    return [name for name in names if name in pattern.split()] if pattern else names


# Name, what must exist for the suite to be part of the run, limit in seconds, function.
SUITES = {
    "build": ("tests/build_checks/test_*.py", 120, lambda suite: run_pytest(suite, ["tests/build_checks"])),
    "unit": ("tests/unit/*.cpp", 240, run_unit),
    "python": ("tests/unit_python/test_*.py", 180, lambda suite: run_pytest(suite, ["tests/unit_python"])),
    "regress": ("tests/regress/sql/*.sql", 180, run_regress),
    "isolation": ("tests/isolation/specs/*.spec", 180, run_regress),
    "integration": ("tests/integration/test_*.py", 1500, lambda suite: run_pytest(suite, ["tests/integration", *SIDE_BY_SIDE])),
}
