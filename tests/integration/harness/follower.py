"""Follows a stream change by change: which shape each table has now, and which tables are in doubt since when."""

from dataclasses import dataclass, field


@dataclass
class Doubt:
    """A table whose rows may differ from what the stream says, from the gap at `position` on. `rows`: what was there then."""

    position: object
    reasons: list = field(default_factory=list)


class Follower:
    """What every applier needs to know beside the rows. Below it, `insert`, `update`, `delete`, `truncate`, `alter` and `move` say
    what becomes of the copy; they are not called for the rows of tables in doubt. A table is named by (schema, table)."""

    def __init__(self):
        self.shapes = {}
        self.doubts = {}

    def follow(self, transaction) -> None:
        """Take a transaction's changes in their order. AssertionError: the stream contradicts itself or the copy."""
        changes = transaction.changes
        at = 0
        while at < len(changes):
            if changes[at].op != "truncate":
                self._take(changes[at], transaction.position)
                at += 1
                continue
            # One statement may truncate tables that refer to each other.
            end = at
            while end < len(changes) and changes[end].op == "truncate":
                end += 1
            self._take_truncates(changes[at:end], transaction.position)
            at = end

    def _take(self, change, position) -> None:
        if change.op == "event":
            return
        name = (change.schema, change.table)
        if change.op == "gap":
            self.doubts.setdefault(name, Doubt(position)).reasons.append(change.reason)
            self.shapes[name] = change.shape
        elif change.op == "alter":
            self._take_alter(change, name, position)
        elif self._is_sure(change, name, position):
            getattr(self, change.op)(change, f"in {position}")

    def _take_alter(self, change, name: tuple, position) -> None:
        old = change.previous
        before = (old.schema, old.table)
        known = self.shapes.pop(before, None)
        doubt = self.doubts.pop(before, None)
        assert doubt or known is None or same_shape(known, old), (
            f"alter of {before} in {position} starts from {describe(old)}, but the table had {describe(known)}")
        assert before == name or name not in self.shapes, f"alter in {position} gives {before} the name {name}, which is taken"
        self.shapes[name] = change.shape
        if doubt:
            self.doubts[name] = doubt
            self.move(before, name)
        else:
            if known is None:
                self.begin(old)
            self.alter(change, f"in {position}")

    def _take_truncates(self, changes: list, position) -> None:
        sure = [change for change in changes if self._is_sure(change, (change.schema, change.table), position)]
        if sure:
            self.truncate(sure, f"in {position}")

    def _is_sure(self, change, name: tuple, position) -> bool:
        """Whether the change is to be applied. Rows may come in another shape only behind an alter or a gap."""
        known = self.shapes.get(name)
        if name in self.doubts:
            self.shapes[name] = change.shape
            return False
        assert known is None or same_shape(known, change.shape), (
            f"{change.op} of {name} in {position} has {describe(change.shape)}, but no alter told that it is no longer {describe(known)}")
        if known is None:
            self.shapes[name] = change.shape
            self.begin(change.shape)
        return True

    def begin(self, shape) -> None:
        """A table is met for the first time."""

    def move(self, before: tuple, after: tuple) -> None:
        """A table in doubt has another name or other columns now."""

    def in_doubt(self) -> dict:
        """The tables in doubt: `schema.table` to the reasons."""
        return {".".join(name): doubt.reasons for name, doubt in self.doubts.items()}


def same_shape(one, other) -> bool:
    """Whether two shapes say the same; sessions that describe a table at the same time may each give it an id."""
    return one.id == other.id or (one.schema, one.table, one.columns, one.key) == (other.schema, other.table, other.columns, other.key)


def describe(shape) -> str:
    """A shape in an error."""
    columns = ", ".join(f"{number_of(column)}:{column.name} {column.type}" for column in shape.columns)
    return f"shape {shape.id} {shape.schema}.{shape.table} ({columns}) key {shape.key}"


def number_of(column):
    """What says that a column of two shapes is the same one: its number, or its name where shapes have no numbers."""
    return getattr(column, "number", 0) or column.name


def columns_before_and_after(change) -> tuple:
    """What an alter did: (columns that are gone, [(column before, column after)], [(new column, its value in all rows)])."""
    before = {number_of(column): column for column in change.previous.columns}
    after = {number_of(column): column for column in change.shape.columns}
    values = change.new or {}
    return ([column for number, column in before.items() if number not in after],
            [(column, after[number]) for number, column in before.items() if number in after],
            [(column, values.get(column.name)) for number, column in after.items() if number not in before])
