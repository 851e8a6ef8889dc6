"""Every state that an operator can be shown, and every event of the log, has its row in docs/operations.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SQL = {path.name: path.read_text() for path in sorted((ROOT / "sql").glob("*.sql"))}


def rows(heading: str) -> set:
    """The first cells of the tables below a heading, each word in backquotes by itself."""
    [section] = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([a-z_]+)`", cell)}


def states(text: str, begins: str) -> set:
    """The words behind THEN and ELSE of the CASE that ends with AS state, in the function that begins so."""
    [function] = re.findall(rf"^CREATE OR REPLACE FUNCTION {begins}\(.*?^\$\$;?$", text, re.MULTILINE | re.DOTALL)
    [case] = re.findall(r"SELECT (CASE (?:(?!SELECT CASE).)*? END) AS (?:state|c)\b", function, re.DOTALL)
    return set(re.findall(r"(?:THEN|ELSE) '([a-z_]+)'", case))


def test_every_state_of_the_whole():
    """Rule: docs/operations.md has a row for each state of paysync.status, and no others."""
    found = states(SQL["64_status.sql"], "health")
    assert {"ok", "suspended", "refusing", "relay_silent"} <= found
    modes = set(re.search(r"mode IN \((.*?)\)", SQL["10_tables.sql"]).group(1).replace("'", "").split(", ")) - {"resuming"}
    assert rows("The whole: `paysync.status`") == found | modes


def test_every_state_of_a_subscriber():
    """Rule: docs/operations.md has a row for each state of paysync.subscribers, and no others."""
    found = states(SQL["62_states.sql"], "subscriber_states")
    assert {"streaming", "needs_copy", "paused"} <= found
    assert rows("Subscribers: `paysync.subscribers`") == found


def test_every_state_of_a_segment():
    """Rule: docs/operations.md has a row for each state of paysync.segments, and no others."""
    [case] = re.findall(r"CASE WHEN r\.current THEN .*? END", SQL["60_views.sql"])
    assert rows("Segments: `paysync.segments`") == set(re.findall(r"(?:THEN|ELSE) '([a-z]+)'", case))


def test_every_event_of_the_log():
    """Rule: docs/operations.md has a row for each event that is written into paysync.log, and no others."""
    text = "".join(SQL.values())
    found = set(re.findall(r"log_event\('([a-z_]+)'", text)) | set(re.findall(r"set_capture_mode\('[a-z]+', '([a-z_]+)'", text))
    assert {"cut_off", "suspend", "take_over"} <= found
    assert rows("What `paysync.log` tells") == found
