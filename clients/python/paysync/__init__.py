"""Subscriber for paysync: whole PostgreSQL transactions, in order, at least once or exactly once."""

import logging

from .changes import Change, Column, Shape, Transaction, TransactionHead
from .dates import Date, Timestamp
from .errors import Closed, CorruptError, Fenced, PaysyncError, ProtocolError, Refused
from .exactly_once import run
from .literals import to_text
from .position import Position
from .sink import TransactionSink
from .subscriber import VERSION as __version__
from .subscriber import Subscriber
from .timings import Timings
from .values import ArrayText, Json

logging.getLogger("paysync").addHandler(logging.NullHandler())

__all__ = [
    "ArrayText",
    "Change",
    "Closed",
    "Column",
    "CorruptError",
    "Date",
    "Fenced",
    "Json",
    "PaysyncError",
    "Position",
    "ProtocolError",
    "Refused",
    "Shape",
    "Subscriber",
    "Timestamp",
    "Timings",
    "Transaction",
    "TransactionHead",
    "TransactionSink",
    "__version__",
    "run",
    "to_text",
]
