"""What all cases of kind change are made with."""

from __future__ import annotations

from encoder import digest, pack
from tables import KNOWN

OPS = ("insert", "update", "delete", "truncate", "event", "gap", "alter")


def row_change(op: int, shape: dict, command, *fields) -> bytes:
    """The bytes of a change of a row."""
    return pack([op, shape["id"], command, *fields])


def row_decoded(data: bytes, op: int, shape: dict, command: int, key, old, new) -> dict:
    """A change of a row by the conventions of README.md."""
    return {
        "op": OPS[op],
        "shape": str(shape["id"]),
        "channel": shape["channel"],
        "schema": shape["schema"],
        "table": shape["table"],
        "command": str(command),
        "key": key,
        "old": old,
        "new": new,
        "digest": digest(data).hex(),
    }


def change_case(name: str, description: str, data: bytes, decoded: dict) -> dict:
    """A vector of kind change."""
    return {
        "name": "change_" + name,
        "description": description,
        "kind": "change",
        "shapes": KNOWN.hex(),
        "hex": data.hex(),
        "decoded": decoded,
    }
