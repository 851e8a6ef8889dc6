"""What a change says, in one form whichever client gave it: the base of hashes and of comparisons with the source."""

import hashlib
import json
from collections import Counter

# A longer text stands as its length and hash, so that logs of bulk transactions stay small.
LONG = 100


def plain(value):
    """A value as JSON that is the same from every client and from the source: numbers are texts."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    text = str(value)
    return text if len(text) <= LONG else f"{len(text)} {hashlib.md5(text.encode()).hexdigest()}"


def plain_row(row: dict | None) -> dict | None:
    """A row, by column."""
    return None if row is None else {name: plain(value) for name, value in row.items()}


def document(text: str):
    """A JSON value from its text, and as it is where it is parsed already."""
    return json.loads(text) if isinstance(text, str) else text


def of_python(change) -> tuple:
    """(channel, operation, content) of a change of the Python client."""
    if change.op == "event":
        return change.channel, "event", [change.type, change.key, document(change.headers), document(change.payload)]
    return change.channel, change.op, [change.table, plain_row(change.key), plain_row(change.old), plain_row(change.new)]


def of_line(change: dict) -> tuple:
    """(channel, operation, content) of a change in a line of `paysync tail`."""
    if change["op"] == "event":
        return change["channel"], "event", [change["type"], change["key"], change["headers"], change["payload"]]
    table = change["table"].split(".", 1)[1]
    return change["channel"], change["op"], [table, plain_row(change["key"]), plain_row(change["old"]), plain_row(change["new"])]


class Fingerprint:
    """Counts and hashes of a transaction's changes, channel by channel, as they come."""

    def __init__(self):
        self.counts = Counter()
        self.hashes = {}
        self.is_notice = True

    def add(self, channel: str, operation: str, content: list) -> None:
        """The next change."""
        self.counts[channel] += 1
        hashed = self.hashes.setdefault(channel, hashlib.md5())
        hashed.update(json.dumps([operation, content], sort_keys=True).encode())
        self.is_notice = self.is_notice and operation in ("gap", "alter")

    def channels(self) -> dict:
        """Channel to (changes, hash)."""
        return {channel: (count, self.hashes[channel].hexdigest()) for channel, count in self.counts.items()}
