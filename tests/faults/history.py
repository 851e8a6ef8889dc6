"""The rules of a history, judged from logs alone: what the source has committed, and what each subscriber was handed and when.

Numbers are those of the stream. Nothing here touches a server, so the rules are tested by themselves (test_history.py).
"""

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Committed:
    """A transaction that the source has, after every crash. `seen` are ids of transactions that it saw; `counts` says how many
    changes it made in each channel."""

    id: int
    xid: int
    seen: tuple
    counts: dict


@dataclass(frozen=True)
class Delivery:
    """A transaction as a subscriber was handed it. `channels`: name to (changes, hash of their content in order). `total` is what
    the stream says of all channels, None where the client does not tell it. A notice has nothing but gaps and alters in it."""

    number: int
    position: str
    xid: int
    total: int | None
    channels: dict
    is_notice: bool = False


@dataclass
class Log:
    """All that a subscriber was handed, over all its lives, in order. One that keeps its own position gets everything exactly once;
    else the database keeps it, and the subscriber may be taken back, never ahead. `rewinds`: how often it was asked to go back
    and obeyed. `skipped`: numbers that were taken out of its stream."""

    name: str
    channels: frozenset
    keeps_position: bool
    deliveries: list = field(default_factory=list)
    rewinds: int = 0
    skipped: frozenset = frozenset()
    refusals: list = field(default_factory=list)


class Checker:
    """Collects the faults of one history."""

    def __init__(self, committed: list, logs: list):
        self.committed = committed
        self.logs = logs
        self.by_xid = {transaction.xid: transaction for transaction in committed}
        self.faults = []
        self.first = {}     # number to the first delivery of it, and to whom
        self.number_of = {}  # xid to number
        self.contents = {}  # (number, channel) to (count, hash, to whom)

    def check(self) -> list:
        """One line for each broken rule, empty for a good history."""
        for log in self.logs:
            self.faults += [f"{log.name} was refused: {refusal}" for refusal in log.refusals]
            for delivery in log.deliveries:
                self._take(log, delivery)
        self._dense()
        self._causal()
        for log in self.logs:
            self._complete(log)
            self._contiguous(log)
        return self.faults

    def _take(self, log: Log, delivery: Delivery) -> None:
        """What can be said of one delivery, and of it against all others of its number."""
        at = f"{delivery.position} at {log.name}"
        first, by = self.first.setdefault(delivery.number, (delivery, log.name))
        if (first.xid, first.position) != (delivery.xid, delivery.position):
            self.faults.append(f"{at} is transaction {delivery.xid}, but {by} had {first.position} as {first.xid}")
        if self.number_of.setdefault(delivery.xid, delivery.number) != delivery.number:
            self.faults.append(f"{at}: transaction {delivery.xid} has number {self.number_of[delivery.xid]} too")
        for channel, (count, content) in delivery.channels.items():
            known = self.contents.setdefault((delivery.number, channel), (count, content, log.name))
            if known[:2] != (count, content):
                self.faults.append(f"{at} differs from what {known[2]} had in channel {channel}: {count} changes, not {known[0]}"
                                   if count != known[0] else f"{at} has other changes in channel {channel} than {known[2]} had")
        if not delivery.is_notice:
            self._whole(log, delivery, at)

    def _whole(self, log: Log, delivery: Delivery, at: str) -> None:
        transaction = self.by_xid.get(delivery.xid)
        if transaction is None:
            self.faults.append(f"{at}: transaction {delivery.xid} was delivered and is not committed")
            return
        expected = {channel: count for channel, count in transaction.counts.items() if channel in log.channels}
        found = {channel: count for channel, (count, _) in delivery.channels.items()}
        if found != expected:
            self.faults.append(f"{at} is torn: changes {found}, made were {expected}")
        total = sum(transaction.counts.values())
        if delivery.total is not None and delivery.total != total:
            self.faults.append(f"{at} claims {delivery.total} changes in all, made were {total}")

    def _dense(self) -> None:
        """Numbers have no holes, where somebody takes all channels."""
        if self.first and any(self._wants_all(log) for log in self.logs):
            holes = set(range(min(self.first), max(self.first))) - set(self.first)
            if holes:
                self.faults.append(f"{len(holes)} numbers were never delivered, the first is {min(holes)}")

    def _wants_all(self, log: Log) -> bool:
        return all(transaction.counts.keys() <= log.channels for transaction in self.committed)

    def _causal(self) -> None:
        """B saw A: A comes first."""
        xid_of = {transaction.id: transaction.xid for transaction in self.committed}
        for later in self.committed:
            number = self.number_of.get(later.xid)
            for seen in later.seen if number is not None else ():
                before = self.number_of.get(xid_of.get(seen))
                if before is not None and before >= number:
                    self.faults.append(f"number {number} (id {later.id}) saw id {seen}, which has number {before}")

    def _complete(self, log: Log) -> None:
        """Nothing lost."""
        came = {delivery.xid for delivery in log.deliveries}
        lost = [transaction for transaction in self.committed
                if transaction.xid not in came and not log.channels.isdisjoint(transaction.counts)
                and self.number_of.get(transaction.xid) not in log.skipped]
        if lost:
            one = min(lost, key=lambda transaction: self.number_of.get(transaction.xid, 0))
            self.faults.append(f"{log.name} lost {len(lost)} transactions, e.g. id {one.id}, number {self.number_of.get(one.xid)}")

    def _contiguous(self, log: Log) -> None:
        """Each delivery is followed by the next that is for this subscriber, or, where it may be taken back, by an earlier one."""
        wanted = sorted(number for number, (first, _) in self.first.items()
                        if number not in log.skipped and self._is_for(log, first))
        last, rewinds = None, 0
        for delivery in log.deliveries:
            at = bisect_right(wanted, last) if last is not None else 0
            # What was skipped while it was on its way may have come all the same.
            following = wanted[at] if at < len(wanted) else delivery.number
            if delivery.number > following:
                self.faults.append(f"{log.name} was handed {delivery.number} after {last}, over {following}")
            elif last is not None and delivery.number <= last:
                rewinds += 1
                if log.keeps_position and rewinds > log.rewinds:
                    self.faults.append(f"{log.name} keeps its position and was handed {delivery.number} after {last}")
            last = delivery.number

    def _is_for(self, log: Log, delivery: Delivery) -> bool:
        transaction = self.by_xid.get(delivery.xid)
        channels = transaction.counts if transaction else delivery.channels
        return not log.channels.isdisjoint(channels)


def check(committed: list, logs: list) -> list:
    """The faults of a history: nothing lost, torn, doubled by position, out of causal order, never committed; one content for a
    number for ever; contiguous."""
    return Checker(committed, logs).check()
