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


# From here on shapes as 0.2 writes them, with the columns' numbers.
MEASURES = {
    "id": 12,
    "schema": "public",
    "table": "measures",
    "channel": "default",
    "columns": [
        ("id", "integer", 2, 1),
        ("small", "real", 8, 3),
        ("large", "double precision", 9, 4),
        ("raw", "bytea", 10, 5),
        ("day", "date", 11, 6),
        ("names", "text[]", 16, 7),
        ("flags", "boolean[]", 17, 8),
        ("counts", "bigint[]", 18, 9),
        ("amounts", "numeric(12,2)[]", 19, 10),
        ("moments", "timestamp with time zone[]", 21, 11),
        ("tokens", "uuid[]", 22, 12),
        ("documents", "jsonb[]", 23, 13),
        ("factors", "real[]", 24, 14),
        ("parts", "bytea[]", 26, 15),
        ("days", "date[]", 27, 32767),
    ],
    "key": [0],
}

ACCOUNTS = {
    "id": 20,
    "schema": "public",
    "table": "accounts",
    "channel": "default",
    "columns": [("id", "bigint", 2, 1), ("name", "text", 0, 2), ("note", "text", 0, 3)],
    "key": [0],
}

# The same table after a rename of name, a drop of note and three new columns.
ACCOUNTS_ALTERED = {
    "id": 21,
    "schema": "public",
    "table": "accounts",
    "channel": "default",
    "columns": [
        ("id", "bigint", 2, 1),
        ("title", "text", 0, 2),
        ("opened", "date", 11, 4),
        ("tags", "text[]", 16, 5),
        ("ceiling", "numeric", 3, 6),
    ],
    "key": [0],
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
        "columns": [_column(*column) for column in shape["columns"]],
        "key": [str(at) for at in shape["key"]],
    }


def _column(name: str, kind: str, form: int, number: int = 0) -> dict:
    return {"name": name, "type": kind, "form": str(form), "number": str(number)}


def shapes_body(*shapes: dict) -> bytes:
    """The second frame of SHAPES."""
    return pack([described(shape) for shape in shapes])


KNOWN = shapes_body(PAYMENTS, EVERYTHING, LEGS, AUDIT, MEASURES, ACCOUNTS, ACCOUNTS_ALTERED)
