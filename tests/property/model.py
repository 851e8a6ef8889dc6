"""A copy of the source in memory, made from the stream alone: rows by key, values as text."""

from harness.follower import Follower, columns_before_and_after
from harness.values import as_text, as_texts

# Types that are printed by the client exactly as by the server, so that old values can be compared without asking it.
PLAIN = ("integer", "bigint", "text", "character varying", "uuid")


class Model(Follower):
    """Rows of each table: key to row, or, without a key, a list. A change that does not find its row, or finds another one than
    its old values say, is an AssertionError. `rules` gives, by table name, the `old_values` it was registered with."""

    def __init__(self):
        super().__init__()
        self.rows = {}
        self.rules = lambda name: None

    def begin(self, shape) -> None:
        self.rows[shape.schema, shape.table] = {} if shape.key else []

    def insert(self, change, where: str) -> None:
        row = as_texts(change.new, change.shape)
        rows = self._rows(change)
        if not change.shape.key:
            rows.append(row)
            return
        key = key_of(row, change.shape)
        assert key not in rows, f"insert of {change.table} {key} {where}: there is one already"
        rows[key] = row

    def update(self, change, where: str) -> None:
        rows = self._rows(change)
        assert change.shape.key, f"update of {change.table} {where}, which has no key"
        row, old, key = as_texts(change.new, change.shape), as_texts(change.old or {}, change.shape), key_of(as_texts(change.key, change.shape), change.shape)
        before = rows.pop(key, None)
        assert before is not None, f"update of {change.table} {key} {where} finds no row"
        self._compare_old(change, before, old, row, where)
        after = key_of(row, change.shape)
        assert after not in rows, f"update of {change.table} {key} to {after} {where}: there is one already"
        rows[after] = row

    def delete(self, change, where: str) -> None:
        rows = self._rows(change)
        assert change.shape.key, f"delete of {change.table} {where}, which has no key"
        key = key_of(as_texts(change.key, change.shape), change.shape)
        before = rows.pop(key, None)
        assert before is not None, f"delete of {change.table} {key} {where} finds no row"
        self._compare_old(change, before, as_texts(change.old or {}, change.shape), None, where)

    def _compare_old(self, change, before: dict, old: dict, row: dict | None, where: str) -> None:
        plain = {column.name for column in change.shape.columns if column.type.split("(")[0] in PLAIN}
        wrong = {name: (value, before[name]) for name, value in old.items() if name in plain and value != before[name]}
        assert not wrong, f"{change.op} of {change.table} {change.key} {where}: old values and those that were there: {wrong}"
        rule = self.rules((change.schema, change.table))
        key = {change.shape.names[at] for at in change.shape.key}
        if rule is None or (rule == "full" or row is None and rule == "changed"):
            expected = plain if rule else set()
            missing = expected - set(old)
        elif rule == "changed":
            changed = {name for name in plain if before[name] != row[name]}
            missing = changed - set(old)
            extra = {name for name in set(old) & plain if before[name] is not None or row[name] is not None} - changed - key
            assert not extra, f"update of {change.table} {change.key} {where} tells old values that did not change: {extra}"
        else:
            missing = (key if row is None or any(before[name] != row[name] for name in key) else set()) - set(old)
            extra = set(old) - key
            assert not extra, f"{change.op} of {change.table} {change.key} {where} tells more than the key: {extra}"
        assert not missing, f"{change.op} of {change.table} {change.key} {where} does not tell the old {missing}"

    def truncate(self, changes: list, where: str) -> None:
        for change in changes:
            self.begin(change.shape)

    def alter(self, change, where: str) -> None:
        before = (change.previous.schema, change.previous.table)
        rows = self.rows.pop(before, None)
        if rows is None:
            self.begin(change.shape)
            return
        _, kept, added = columns_before_and_after(change)
        new = {column.name: as_text(value, column) for column, value in added}

        def altered(row: dict) -> dict:
            return {**{after.name: row[column.name] for column, after in kept}, **new}

        every = [altered(row) for row in (rows.values() if isinstance(rows, dict) else rows)]
        if change.shape.key:
            keyed = {key_of(row, change.shape): row for row in every}
            assert len(keyed) == len(every), f"the new key of {change.table} {where} is not unique"
            every = keyed
        self.rows[change.schema, change.table] = every

    def move(self, before: tuple, after: tuple) -> None:
        if before in self.rows:
            self.rows[after] = self.rows.pop(before)

    def replace(self, name: tuple, rows: list) -> None:
        """A new copy of a table that was in doubt, from rows as name to text."""
        self.doubts.pop(name, None)
        shape = self.shapes[name]
        self.rows[name] = {key_of(row, shape): row for row in rows} if shape.key else rows

    def forget(self, name: tuple) -> None:
        """A table that is no more."""
        for known in (self.doubts, self.shapes, self.rows):
            known.pop(name, None)

    def _rows(self, change):
        return self.rows[change.schema, change.table]


def key_of(row: dict, shape) -> tuple:
    """The values of a row's key."""
    return tuple(row[shape.names[at]] for at in shape.key)


