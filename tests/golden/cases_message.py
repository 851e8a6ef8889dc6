"""Vectors of frames, of the maps of control messages, and of shapes."""

from __future__ import annotations

from encoder import KINDS, Wide, frame, pack
from tables import ACCOUNTS, ACCOUNTS_ALTERED, AUDIT, EVERYTHING, LEGS, MEASURES, PAYMENTS, decoded, described, shapes_body

STREAM = bytes.fromhex("6f1c0f6a52d84c0e9d3f1b2a3c4d5e6f")


def _frame(name: str, description: str, kind: int, session: int, a: int, b: int) -> dict:
    names = {number: text for text, number in KINDS.items()}
    return {
        "name": "frame_" + name,
        "description": description,
        "kind": "frame",
        "hex": frame(kind, session, a, b).hex(),
        "decoded": {
            "kind": str(kind),
            "name": names.get(kind),
            "session": str(session),
            "a": str(a),
            "b": str(b),
        },
    }


def _frames() -> list:
    most = 2**64 - 1
    return [
        _frame("ack", "number applied and credit limit", KINDS["ACK"], 0x0102030405060708, 184_467, 4_194_304),
        _frame("ping_greatest", "all bits of session, a and b", KINDS["PING"], most, most, most),
        _frame("pong", "the least values", KINDS["PONG"], 1, 0, 0),
        _frame("hello", "a HELLO has session 0; b is the instance nonce", KINDS["HELLO"], 0, 0, 0xDEADBEEFCAFEF00D),
        _frame("batch", "a: bytes sent so far; b: last number covered", KINDS["BATCH"], 5, 70_000, 12),
        _frame("optional", "a kind with bit 0x40 is read and then ignored", 0x41, 5, 1, 2),
        _frame("optional_relay", "a kind with bits 0x80 and 0x40", 0xC7, 5, 1, 2),
    ]


def _message(name: str, description: str, kind: str, a: int, b: int, body) -> dict:
    session = 0 if kind == "HELLO" else 9
    parts = [frame(KINDS[kind], session, a, b)] + ([] if body is None else [body])
    return {
        "name": "message_" + name,
        "description": description,
        "kind": "message",
        "frames": [part.hex() for part in parts],
        "decoded": {
            "kind": str(KINDS[kind]),
            "name": kind,
            "session": str(session),
            "a": str(a),
            "b": str(b),
            "body": None if body is None else body.hex(),
        },
    }


def _messages() -> list:
    return [
        _message("ack", "one frame", "ACK", 3, 65_536, None),
        _message("shapes", "two frames", "SHAPES", len(shapes_body(PAYMENTS)), 0, shapes_body(PAYMENTS)),
        _message("begin", "the head of a streamed transaction; its body is kind `begin`", "BEGIN", 12, 5, pack(begin_body())),
        _message("part", "a part of it", "PART", 20, 5, pack([0, False, b"\x90"])),
        _message("end", "END has one frame, and adds nothing to what was sent", "END", 20, 5, None),
        _message("bye", "a relay's BYE: come back after 1500 ms", "BYE", 0, 1500, pack({1: "draining"})),
    ]


def _map(kind: str, name: str, description: str, body: dict, shown: dict) -> dict:
    return {"name": f"{kind}_{name}", "description": description, "kind": kind, "hex": pack(body).hex(), "decoded": shown}


def _maps() -> list:
    hello = {1: 1, 2: 1, 3: None, 4: None, 5: 4_194_304, 6: "paysync-test/1"}
    hello_shown = {
        "lowest": "1",
        "highest": "1",
        "stream_id": None,
        "position": None,
        "window": "4194304",
        "software": "paysync-test/1",
        "obeys_rewinds": False,
    }
    resume = {3: STREAM, 4: "3.9f2c41aa:184467"}
    resume_shown = {"stream_id": STREAM.hex(), "position": "3.9f2c41aa:184467"}
    welcome = {1: 1, 2: STREAM, 3: 3, 4: "9f2c41aa", 5: ["default", "ledger"], 6: "mirror", 7: "3.9f2c41aa:184467"}
    welcome_shown = {
        "version": "1",
        "stream_id": STREAM.hex(),
        "epoch": "3",
        "nonce": "9f2c41aa",
        "channels": ["default", "ledger"],
        "subscriber": "mirror",
        "position": "3.9f2c41aa:184467",
        "rewound": None,
        "skipped": [],
    }
    gone = {1: "position 3.9f2c41aa:5 is too old", 2: "The oldest is 100.", 3: "Make a new copy."}
    gone_shown = {"message": gone[1], "detail": gone[2], "hint": gone[3]}
    return [
        _map("hello", "new", "a subscriber without a position", hello, hello_shown),
        _map("hello", "resume", "stream id and position of an earlier session", {**hello, **resume},
             {**hello_shown, **resume_shown}),
        _map("hello", "obeys", "both versions, and a replay is obeyed", {**hello, **resume, 2: 2, 7: True},
             {**hello_shown, **resume_shown, "highest": "2", "obeys_rewinds": True}),
        _map("hello", "obeys_not", "said, and not so", {**hello, 7: False}, hello_shown),
        _map("hello", "unknown_keys", "unknown keys are ignored, whatever they hold",
             {99: [1, {"a": [None, b"x", 2**63]}], **hello, -5: "x"}, hello_shown),
        _map("hello", "wide", "keys and values in 64 bits",
             {Wide(key): Wide(value) if isinstance(value, int) else value for key, value in hello.items()}, hello_shown),
        _map("welcome", "mirror", "all fields", welcome, welcome_shown),
        _map("welcome", "rewound", "version 2: a replay was asked for, and numbers are skipped",
             {**welcome, 1: 2, 8: "2.00c0ffee:17", 9: [184_468, Wide(184_470)]},
             {**welcome_shown, "version": "2", "rewound": "2.00c0ffee:17", "skipped": ["184468", "184470"]}),
        _map("welcome", "empty_stream", "number 0: nothing was ever delivered; no channels",
             {**welcome, 5: [], 7: "1.00000000:0", 3: 1, 4: "00000000"},
             {**welcome_shown, "channels": [], "position": "1.00000000:0", "epoch": "1", "nonce": "00000000"}),
        _map("error", "gone", "all texts", gone, gone_shown),
        _map("error", "empty", "texts may be empty", {1: "", 2: "", 3: ""}, {"message": "", "detail": "", "hint": ""}),
        _map("bye", "draining", "a relay that drains", {1: "draining"}, {"reason": "draining"}),
    ]


def begin_body(**changes) -> list:
    """The body of a BEGIN; fields by name are replaced."""
    fields = {
        "prev": 4,
        "number": 5,
        "epoch": 3,
        "nonce": "9f2c41aa",
        "xid": 742,
        "time": 846_000_000_000_001,
        "origin": None,
        "context": "trace",
        "total": 70_000,
        "channels": [["default", 60_000, bytes(range(16))], ["ledger", 1, b"\xff" * 16]],
        "bytes": 5_000_000_000,
    }
    return list({**fields, **changes}.values())


def _streamed() -> list:
    def begin(name, description, body, **shown):
        whole = {
            "prev": "4",
            "number": "5",
            "epoch": "3",
            "nonce": "9f2c41aa",
            "xid": "742",
            "time": "2026-10-22 16:00:00.000001+00",
            "origin": None,
            "context": "trace",
            "total": "70000",
            "channels": [
                {"name": "default", "count": "60000", "digest": bytes(range(16)).hex()},
                {"name": "ledger", "count": "1", "digest": "ff" * 16},
            ],
            "bytes": "5000000000",
        }
        return {"name": "begin_" + name, "description": description, "kind": "begin", "hex": pack(body).hex(),
                "decoded": {**whole, **shown}}

    def part(name, description, index, unfinished, data, wide=False):
        body = pack([Wide(index) if wide else index, unfinished, data])
        return {"name": "part_" + name, "description": description, "kind": "part", "hex": body.hex(),
                "decoded": {"index": str(index), "unfinished": unfinished, "data": data.hex()}}

    wide = [Wide(item) if isinstance(item, int) else item for item in begin_body()]
    return [
        begin("two_channels", "all fields", begin_body()),
        begin("covers", "it covers numbers before its own; an origin, no context",
              begin_body(prev=0, number=9, origin="elsewhere", context=None), prev="0", number="9",
              origin="elsewhere", context=None),
        begin("wide", "integers in 64 bits", wide),
        part("first", "the first part, whole changes", 0, False, b"\x90\x91\xc0"),
        part("unfinished", "the last change goes on in the next part", 4_294_967_296, True, b"\x94"),
        part("wide", "the index in 64 bits", 7, False, b"x", wide=True),
    ]


def _shapes() -> list:
    def case(name, description, body, *shapes):
        shown = {"shapes": [decoded(shape) for shape in shapes]}
        return {"name": "shapes_" + name, "description": description, "kind": "shapes", "hex": body.hex(), "decoded": shown}

    wide = described(PAYMENTS)
    wide[0] = Wide(wide[0])
    wide[1][3] = [[name, kind, Wide(form)] for name, kind, form in wide[1][3]]
    wide[1][4] = [Wide(at) for at in wide[1][4]]
    return [
        case("one", "one shape", shapes_body(PAYMENTS), PAYMENTS),
        case("every_form", "forms 0 to 7, a quoted name, an id of 63 bits; columns without numbers, as 0.1 wrote them", shapes_body(EVERYTHING), EVERYTHING),
        case("several", "a key not in table order, and none", shapes_body(LEGS, AUDIT), LEGS, AUDIT),
        case("arrays", "forms 8 to 11 and arrays, columns with numbers", shapes_body(MEASURES), MEASURES),
        case("altered", "a table before and after an alter", shapes_body(ACCOUNTS, ACCOUNTS_ALTERED), ACCOUNTS, ACCOUNTS_ALTERED),
        case("none", "an empty list", shapes_body()),
        case("wide", "integers in 64 bits", pack([wide]), PAYMENTS),
    ]


def cases() -> list:
    """All vectors of this file."""
    return _frames() + _messages() + _maps() + _streamed() + _shapes()
