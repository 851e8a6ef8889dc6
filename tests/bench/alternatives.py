"""What was decided against, beside what was decided for: an index on closing records (decision 0010), and statement triggers with
transition tables (decision 0013)."""

import conditions
import firing
import new_closings
import workspace


def measure() -> str:
    """The tables."""
    folder = workspace.base() / "alternatives"
    folder.mkdir()
    texts = []
    for part in (firing, new_closings):
        server = conditions.server(folder / part.__name__, full_page_writes="off", synchronous_commit="off", shared_buffers="256MB")
        with server:
            about = conditions.of_server(server)
            texts.append(part.tables(server))
    return "## Alternatives\n\nInstructions are those of a single-user backend under callgrind.\n\n" + "\n".join(texts) + f"\n{about}"
