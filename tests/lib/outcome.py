"""How many tests of a suite passed, failed and were skipped, read from what the test programs wrote."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """Counts of a suite, and the names of what failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped

    def fail(self, what: str) -> None:
        """Count one more failure."""
        self.failed += 1
        self.failures.append(what)

    def add(self, other: "Outcome") -> None:
        """Add another suite's counts to this one."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_junit(path: Path) -> Outcome:
    """Counts of a JUnit file, as pytest and GoogleTest write it. A file that is missing or cut short raises an OSError or ParseError."""
    outcome = Outcome()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}".lstrip(".")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.fail(name)
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            outcome.skipped += 1
        elif case.get("status", "run") == "run":
            outcome.passed += 1
    return outcome


# "test name ... ok 12 ms" up to PostgreSQL 15, "ok 1 - name 12 ms" (TAP) from 16 on.
REGRESS_LINE = re.compile(r"^(?:test\s+|\s+)(?P<name>[\w-]+)\s+\.\.\.\s+(?P<word>ok|FAILED|failed)\b")
REGRESS_TAP_LINE = re.compile(r"^(?P<word>ok|not ok)\s+\d+\s+[-+]\s+(?P<name>[\w-]+)")


def read_regress(text: str) -> Outcome:
    """Counts of what pg_regress or pg_isolation_regress printed."""
    outcome = Outcome()
    for line in text.splitlines():
        match = REGRESS_LINE.match(line) or REGRESS_TAP_LINE.match(line)
        if not match:
            continue
        if match["word"] == "ok":
            outcome.passed += 1
        else:
            outcome.fail(match["name"])
    return outcome
