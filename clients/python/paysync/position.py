"""A position in the stream, as text `EPOCH.NONCE:NUMBER`, e.g. `3.9f2c41aa:184467`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

_PATTERN = re.compile(r"([1-9][0-9]{0,18})\.([0-9a-f]{8}):(0|[1-9][0-9]{0,18})", re.ASCII)
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Position:
    """Where a subscriber stands. The number alone gives order and distance; epoch and nonce say whose number it is."""

    epoch: int
    nonce: str
    number: int

    def __post_init__(self) -> None:
        if not _PATTERN.fullmatch(str(self)) or self.epoch > _MOST or self.number > _MOST:
            raise ValueError(f'invalid position "{self}"')

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read the one text form of a position; ValueError for anything else, also for other spellings of a number."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f'invalid position "{text[:80]}"')
        return cls(int(match[1]), match[2], int(match[3]))

    @property
    def history(self) -> Tuple[int, str]:
        """The pair (epoch, nonce): numbers of different histories are not comparable."""
        return (self.epoch, self.nonce)

    def __str__(self) -> str:
        return f"{self.epoch}.{self.nonce}:{self.number}"
