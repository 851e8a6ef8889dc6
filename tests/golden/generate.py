#!/usr/bin/env python3
"""Writes the golden vectors, one JSON file a case, into the folder given (default: this one).

Files of cases that are gone are removed. Conventions: README.md beside this file.
"""

from __future__ import annotations

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cases_bad  # noqa: E402
import cases_batch  # noqa: E402
import cases_change  # noqa: E402
import cases_message  # noqa: E402


def files() -> dict:
    """File name to content of every vector."""
    result = {}
    for module in (cases_message, cases_change, cases_batch, cases_bad):
        for case in module.cases():
            name = case.pop("name") + ".json"
            if name in result:
                raise ValueError(f"case {name} exists twice")
            result[name] = json.dumps(case, indent=2, ensure_ascii=False) + "\n"
    return result


def main() -> None:
    """Write all files."""
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent
    wanted = files()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
