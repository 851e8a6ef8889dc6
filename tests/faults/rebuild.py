"""The source's tables rebuilt from a subscriber's changes: strict on the way, and equal at the end."""

from .content import plain_row


class Copy:
    """Tables by name, rows by key. Every table has the key "id"; where it has a column "version", each update adds one to it."""

    def __init__(self):
        self.tables = {}
        self.faults = []

    def apply(self, number: int, operation: str, content: list) -> None:
        """One change, as content.of_python() gives it."""
        table, key, _, new = content
        rows = self.tables.setdefault(table, {})
        name = (key or new)["id"]
        if (name in rows) != (operation != "insert"):
            self.faults.append(f"number {number}: {operation} of {table} {name}, which is {'' if name in rows else 'not '}there")
        if operation == "delete":
            rows.pop(name, None)
            return
        before = rows.pop(name, None)
        if before and "version" in new and int(new["version"]) != int(before["version"]) + 1:
            self.faults.append(f"number {number}: {table} {name} goes from version {before['version']} to {new['version']}")
        rows[new["id"]] = new

    def differences(self, table: str, source: list) -> list:
        """One line if the rows are not those of the source."""
        ours, theirs = self.tables.get(table, {}), {row["id"]: row for row in map(plain_row, source)}
        wrong = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        if not wrong:
            return []
        one = min(wrong, key=int)
        return [f"{table}: {len(wrong)} rows differ, e.g. {one}: {ours.get(one)} from the stream, {theirs.get(one)} at the source"]
