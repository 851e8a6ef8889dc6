"""Servers, relays and readers for the integration tests: objects that start, stop and die on demand."""

from .postgres import Database, Postgres
from .relay import Relay
from .tail import Tail
from .waiting import free_port, wait_for

__all__ = ["Database", "Postgres", "Relay", "Tail", "free_port", "wait_for"]
