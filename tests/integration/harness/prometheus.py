"""HTTP as a scraper and a load balancer ask it, and a strict reader of the metrics' text (format 0.0.4)."""

import http.client
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
UNIT_LAST = re.compile(r"_(seconds|bytes|total|info|number|transactions|leader|ready|epoch|up|state|status|sessions|fds)$")


def get(address: str, path: str, method: str = "GET", timeout: float = 10.0):
    """(status, headers in lower case, body) of one request."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def read_labels(text: str | None) -> tuple:
    """The labels of a sample, sorted, unescaped; a label that stands twice is an AssertionError."""
    labels = []
    for name, value in re.findall(r'([^=,]+)="((?:[^"\\\n]|\\[\\"n])*)"', text or ""):
        labels.append((name, re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), value)))
    assert len({name for name, _ in labels}) == len(labels), f"a label twice: {text}"
    return tuple(sorted(labels))


def parse(text: str) -> dict:
    """{(name, labels): value}. AssertionError for whatever the format does not allow: a sample without HELP and TYPE right before
    its family, a family or a series twice, a counter whose name does not say so, a bad escape, a value that is no number."""
    assert text.endswith("\n")
    series, families, family, kind = {}, set(), None, None
    lines = text.split("\n")[:-1]
    for at, line in enumerate(lines):
        if found := re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line):
            family = found[1]
            assert family not in families, f"{family} twice"
            assert family.startswith(("paysync_", "process_")) and UNIT_LAST.search(family), f"the name {family} says no unit"
            families.add(family)
            found = re.fullmatch(rf"# TYPE {family} (gauge|counter)", lines[at + 1])
            assert found, f"behind HELP of {family} stands {lines[at + 1]}"
            kind = found[1]
            assert (kind == "counter") == family.endswith("_total"), f"{family} is a {kind}"
            continue
        if line.startswith("# TYPE "):
            assert lines[at - 1].startswith(f"# HELP {family} "), line
            continue
        found = SAMPLE.fullmatch(line)
        assert found, f"no sample: {line}"
        assert found[1] == family, f"a sample of {found[1]} among those of {family}"
        key = (found[1], read_labels(found[2]))
        assert key not in series, f"twice: {key}"
        series[key] = float(found[3])
    return series


class Metrics:
    """The metrics of one scrape: `metrics["paysync_lag_seconds", "mirror"]` where a subscriber is the only label,
    `metrics["paysync_relay_is_leader"]` where there is none, `metrics.find(name, label=value)` else."""

    def __init__(self, address: str):
        status, headers, self.text = get(address, "/metrics")
        assert status == 200 and headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.series = parse(self.text)

    def find(self, name: str, **labels: str) -> float:
        """The value of one series; KeyError when there is none."""
        return self.series[name, tuple(sorted(labels.items()))]

    def __getitem__(self, key) -> float:
        return self.find(key[0], subscriber=key[1]) if isinstance(key, tuple) else self.find(key)

    def names(self) -> set:
        """The families that have a sample."""
        return {name for name, _ in self.series}

    def state(self, subscriber: str) -> str:
        """The state that a subscriber is shown in: exactly one. KeyError where it is not shown."""
        found = [dict(labels)["state"] for (name, labels), value in self.series.items()
                 if name == "paysync_subscriber_state" and value == 1 and dict(labels)["subscriber"] == subscriber]
        self[("paysync_lag_seconds", subscriber)]
        assert len(found) == 1, f"{subscriber} is in the states {found}"
        return found[0]
