"""What `paysync tail` printed over its lives, as a log. A line that a killed one left unfinished was not delivered."""

import json

from .content import Fingerprint, of_line
from .history import Delivery, Log


def whole_lines(paths: list):
    """The lines of all files that have an end, in order."""
    for path in paths:
        if path.exists():
            with path.open("rb") as file:
                yield from (line for line in file if line.endswith(b"\n"))


def has(paths: list, xid: int) -> bool:
    """Whether a transaction has been printed."""
    wanted = f'"xid":"{xid}",'.encode()
    return any(wanted in line[:300] for line in whole_lines(paths))


def read_log(paths: list, log: Log) -> Log:
    """Fill a log from the files that a tail's lives have written."""
    for line in whole_lines(paths):
        transaction = json.loads(line)
        fingerprint = Fingerprint()
        for change in transaction["changes"]:
            fingerprint.add(*of_line(change))
        number = int(transaction["position"].split(":")[1])
        log.deliveries.append(Delivery(number, transaction["position"], int(transaction["xid"]), None, fingerprint.channels(),
                                       fingerprint.is_notice))
    return log
