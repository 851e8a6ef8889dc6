// The extension's settings: `paysync.origin`, `paysync.context`, `paysync.enabled` are a session's; those of the outbox
// hold for the database (docs/outbox.md §7).
#pragma once

namespace paysync {

// Where a session's changes came from; empty: from here. Carried in the transaction's header.
const char* session_origin();
// Free text of the session, e.g. a trace id; empty: none. Carried in the transaction's header.
const char* session_context();

// False: rows that this session writes to registered tables are not captured, and leave a gap.
bool capture_is_enabled();

// Registers the settings; called once, when the library is loaded.
void define_settings();

}  // namespace paysync
