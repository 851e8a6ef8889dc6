"""The shapes that the cases use."""

from __future__ import annotations

from encoder import pack

PAYMENTS = {
    "id": 7,
    "schema": "public",
    "table": "payments",
    "channel": "default",
    "columns": [("id", "bigint", 2), ("amount", "numeric(12,2)", 3), ("status", "text", 0)],
    "key": [0],
}

EVERYTHING = {
    "id": 2**63 - 1,
    "schema": "Odd schema",
    "table": "every\"thing",
    "channel": "default",
    "columns": [
        ("id", "bigint", 2),
        ("label", "character varying(80)", 0),
        ("active", "boolean", 1),
        ("amount", "numeric", 3),
        ("local", "timestamp without time zone", 4),
        ("moment", "timestamp with time zone", 5),
        ("token", "uuid", 6),
        ("document", "jsonb", 7),
        ("größe", "double precision", 0),
    ],
    "key": [0],
}

LEGS = {
    "id": 300,
    "schema": "ledger",
    "table": "legs",
    "channel": "ledger",
    "columns": [("account", "text", 0), ("line", "integer", 2), ("amount", "numeric(18,4)", 3)],
    "key": [1, 0],
}

AUDIT = {
    "id": 70000,
    "schema": "public",
    "table": "audit",
    "channel": "audit",
    "columns": [("at", "timestamp with time zone", 5), ("line", "text", 0)],
    "key": [],
}


def described(shape: dict) -> list:
    """A shape as it stands in SHAPES: `[id, description]`."""
    columns = [list(column) for column in shape["columns"]]
    return [shape["id"], [shape["schema"], shape["table"], shape["channel"], columns, shape["key"]]]


def decoded(shape: dict) -> dict:
    """A shape by the conventions of README.md."""
    return {
        "id": str(shape["id"]),
        "schema": shape["schema"],
        "table": shape["table"],
        "channel": shape["channel"],
        "columns": [{"name": name, "type": kind, "form": str(form)} for name, kind, form in shape["columns"]],
        "key": [str(at) for at in shape["key"]],
    }


def shapes_body(*shapes: dict) -> bytes:
    """The second frame of SHAPES."""
    return pack([described(shape) for shape in shapes])


KNOWN = shapes_body(PAYMENTS, EVERYTHING, LEGS, AUDIT)
