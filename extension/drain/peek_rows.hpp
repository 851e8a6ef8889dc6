// Transactions as rows a person can read, one a change: what peek() and parked_changes() give.
#pragma once

#include "byte_buffer.hpp"
#include "drain/peek_json.hpp"
#include "row_output.hpp"
#include "wire/closing.hpp"

namespace paysync {

// Where decoded changes go, and what decoding them takes.
struct PeekRows {
    RowOutput rows;
    MemoryContext memory;                       // of the whole call
    DecodedShape* shapes;                       // known so far
    bool (*shows)(void*, wire::Bytes channel);  // null: every channel
    void* shows_context;
};

// A transaction put together.
struct WholeTransaction {
    uint64 xid;
    wire::Closing closing;
    wire::Bytes stream;  // its changes, as recorded
};

// Puts the changes of a transaction, in the order in which its rows changed. `position` may be null. SPI must be
// connected. Error PS010 if it is damaged.
void put_changes(PeekRows& peek, const WholeTransaction& transaction, const char* position);

}  // namespace paysync
