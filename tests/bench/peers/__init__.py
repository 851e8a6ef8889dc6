"""The systems that stand beside each other in one run."""

from .base import Peer
from .hand_written import HandWritten, Notifying
from .ours import Paysync, PaysyncWithReader
from .pgq import PgQ, PgQWithConsumer
from .slots import Pgoutput, decoderbufs, wal2json

__all__ = ["HandWritten", "Notifying", "Paysync", "PaysyncWithReader", "Peer", "PgQ", "PgQWithConsumer", "Pgoutput", "decoderbufs", "wal2json"]
