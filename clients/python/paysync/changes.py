"""What a subscriber gets: transactions, their changes, and the shapes that name the columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple, Union

from .position import Position
from .values import DECODERS, Json


@dataclass(frozen=True)
class Column:
    """A column of a shape; `type` is the SQL type as PostgreSQL prints it, `form` how values are encoded.

    `number` is the column's own at the source: it stays when the column is renamed, and no later column gets it. 0 where the
    source did not tell it.
    """

    name: str
    type: str
    form: int
    number: int = 0


@dataclass(frozen=True)
class Shape:
    """The columns of a table as changes were written; a shape never changes."""

    id: int
    schema: str
    table: str
    channel: str
    columns: Tuple[Column, ...]
    key: Tuple[int, ...]
    names: Tuple[str, ...] = field(init=False, repr=False, compare=False)
    key_names: Tuple[str, ...] = field(init=False, repr=False, compare=False)
    decoders: tuple = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))
        object.__setattr__(self, "key_names", tuple(self.names[at] for at in self.key))
        object.__setattr__(self, "decoders", tuple(DECODERS[column.form] for column in self.columns))


@dataclass
class Change:
    """One change.

    `op` is insert, update, delete, truncate, event, gap or alter. `key` finds the row: the old key where an update changed
    it, else the new one; None for a truncate, gap or alter; the text given to emit(), or None, for an event. `old` and `new`
    map column names to values; `old` holds what the table is registered to tell of the row as it was.

    A gap says by its `reason` why the table's rows may differ from here on: take a new copy. An alter changed the table's
    columns from those of `previous` to those of `shape`, and no row otherwise; `new` maps new columns to the value that every
    row that is there has in them, None in those that are left out.
    """

    channel: str
    op: str
    schema: Optional[str] = None
    table: Optional[str] = None
    key: Union[Dict[str, Any], str, None] = None
    old: Optional[Dict[str, Any]] = None
    new: Optional[Dict[str, Any]] = None
    type: Optional[str] = None
    headers: Optional[Json] = None
    payload: Optional[Json] = None
    reason: Optional[str] = None
    previous: Optional[Shape] = None
    command: int = 0
    shape: Optional[Shape] = None


@dataclass
class TransactionHead:
    """What is known of a transaction before its changes.

    `total` counts the changes of all channels, `count` those of this subscriber's. `streamed_bytes` is the encoded length
    of all of them, every channel, where the transaction comes in parts, else 0.
    """

    position: Position
    xid: int
    time: datetime
    origin: Optional[str]
    context: Optional[str]
    total: int
    count: int
    streamed_bytes: int = 0

    @property
    def number(self) -> int:
        """The transaction's dense number."""
        return self.position.number

    @classmethod
    def of(cls, transaction: Transaction) -> TransactionHead:
        """The head of a transaction that came whole."""
        it = transaction
        return cls(it.position, it.xid, it.time, it.origin, it.context, it.total, len(it.changes))

    def with_changes(self, changes: Any) -> Transaction:
        """The transaction that it is the head of."""
        return Transaction(self.position, self.xid, self.time, self.origin, self.context, self.total, changes)


@dataclass
class Transaction:
    """All changes of one source transaction in this subscriber's channels, in the order in which the rows changed.

    `time` is the source's clock just before the commit, UTC. `total` counts the changes of all channels, so it may be
    more than len(changes).
    """

    position: Position
    xid: int
    time: datetime
    origin: Optional[str]
    context: Optional[str]
    total: int
    changes: List[Change]

    @property
    def number(self) -> int:
        """The transaction's dense number."""
        return self.position.number
