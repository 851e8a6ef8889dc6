"""What takes transactions piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import List

from .changes import Change, TransactionHead


class TransactionSink(ABC):
    """Given to Subscriber.receive_into(), so that a transaction may be larger than memory.

    Any object with these four methods will do. What one of them raises passes through receive_into(), after abort() if
    there was a begin(); the transaction then begins again in a later call.
    """

    @abstractmethod
    def begin(self, head: TransactionHead) -> None:
        """Followed by changes(), any number of times, and one commit() or abort()."""

    @abstractmethod
    def changes(self, changes: List[Change]) -> None:
        """The next changes, in order; not compared with what was recorded before commit()."""

    @abstractmethod
    def commit(self) -> None:
        """It came whole, and is what was captured. Only now it counts, and may be acknowledged."""

    @abstractmethod
    def abort(self) -> None:
        """What came since begin() is void. It will begin again, with the same changes in the same order."""
