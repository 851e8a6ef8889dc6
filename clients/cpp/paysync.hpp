// libpaysync: follow the committed transactions of a PostgreSQL database through a paysync relay. This is the whole
// interface; link libpaysync and libzmq. docs/clients.md shows how it is used.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace paysync {

// Where a subscriber stands: the last transaction it has applied. The number is dense and alone gives order and
// distance; epoch and nonce say which history gave it.
struct Position {
    uint64_t epoch = 0;
    std::string nonce;
    uint64_t number = 0;

    // The one text form, EPOCH.NONCE:NUMBER.
    [[nodiscard]] std::string text() const;
    // Nothing if `text` is no position.
    [[nodiscard]] static std::optional<Position> parse(std::string_view text);
    friend bool operator==(const Position&, const Position&) = default;
};

// An exact decimal, NaN, Infinity or -Infinity, as PostgreSQL prints it.
struct Numeric {
    std::string text;
    friend bool operator==(const Numeric&, const Numeric&) = default;
};

// Microseconds since 2000-01-01 00:00:00, in UTC if `has_zone`. INT64_MAX is infinity, INT64_MIN is -infinity.
struct Timestamp {
    int64_t microseconds = 0;
    bool has_zone = false;
    // PostgreSQL's ISO text, which it reads back.
    [[nodiscard]] std::string text() const;
    friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

// Days since 2000-01-01. INT32_MAX is infinity, INT32_MIN is -infinity.
struct Date {
    int32_t days = 0;
    // PostgreSQL's ISO text, which it reads back.
    [[nodiscard]] std::string text() const;
    friend bool operator==(const Date&, const Date&) = default;
};

// A bytea's bytes.
struct Binary {
    std::string bytes;
    friend bool operator==(const Binary&, const Binary&) = default;
};

struct Uuid {
    std::array<uint8_t, 16> bytes{};
    // 8-4-4-4-12 lower-case hex digits.
    [[nodiscard]] std::string text() const;
    friend bool operator==(const Uuid&, const Uuid&) = default;
};

// JSON text, exactly as it was captured.
struct Json {
    std::string text;
    friend bool operator==(const Json&, const Json&) = default;
};

// What an array holds. monostate is NULL; std::string is what the type's output function prints; float is `real`,
// double `double precision`.
using Scalar = std::variant<std::monostate, bool, int64_t, Numeric, std::string, Timestamp, Uuid, Json, float, double,
                            Binary, Date>;

// An array whose lower bounds are 1. The product of its lengths is the number of its elements.
struct Array {
    std::vector<uint32_t> lengths;  // of its dimensions, the outermost first; at most six, none if it is empty
    std::vector<Scalar> elements;   // the last subscript runs fastest
    friend bool operator==(const Array&, const Array&) = default;
};

// An array with another lower bound, as PostgreSQL prints it: [0:1]={a,b}.
struct ArrayText {
    std::string text;
    friend bool operator==(const ArrayText&, const ArrayText&) = default;
};

// One column's value: a Scalar's, or an array.
using Value = std::variant<std::monostate, bool, int64_t, Numeric, std::string, Timestamp, Uuid, Json, float, double,
                           Binary, Date, Array, ArrayText>;

// How a column's values, or the elements of its arrays, travel (docs/wire.md §2).
enum class Form : uint8_t {
    kText = 0,
    kBool,
    kInt,
    kNumeric,
    kTimestamp,
    kTimestampTz,
    kUuid,
    kJson,
    kFloat4,
    kFloat8,
    kBytes,
    kDate
};

struct Column {
    std::string name;
    std::string type;  // the SQL type as PostgreSQL prints it
    Form form = Form::kText;
    bool is_array = false;  // then `form` is that of the elements
    int number = 0;         // stays when the column is renamed, is never used again; 0 where the source did not tell
    friend bool operator==(const Column&, const Column&) = default;
};

// The layout of a table as a change was written. Changes before and after an ALTER TABLE have different ones.
struct Table {
    int64_t shape = 0;
    std::string schema;
    std::string name;
    std::string channel;
    std::vector<Column> columns;
    std::vector<uint32_t> key;  // positions in `columns`; empty for an insert-only table
};

// What an explicit event carries besides its channel.
struct Event {
    std::string type;
    std::optional<std::string> key;
    Json headers;
    Json payload;
};

// A gap: from here on the table's rows may differ from what the stream says, take a new copy. An alter: the table's
// columns changed from `previous` to `table`, and no row changed otherwise (docs/wire.md §3).
enum class Operation : uint8_t { kInsert = 0, kUpdate, kDelete, kTruncate, kEvent, kGap, kAlter };

struct Change {
    Operation operation = Operation::kInsert;
    std::string channel;
    std::shared_ptr<const Table> table;  // null for an event
    uint64_t command = 0;                // command id inside the source transaction
    std::vector<Value> new_values;       // insert, update: one a column
    // Column position and value, ascending: what the table is registered to tell of the row as it was. Delete: at least
    // the key. Update: if the key changed, at least the old one; if not, no column of it or all.
    std::vector<std::pair<uint32_t, Value>> old_values;
    std::optional<Event> event;
    std::string reason;                     // gap: why
    std::shared_ptr<const Table> previous;  // alter: the columns before
    // Alter: position of a new column and what every row that is there has in it, ascending; NULL in those left out.
    std::vector<std::pair<uint32_t, Value>> added_values;
    // The change as it came (docs/wire.md §3). Valid as long as its transaction or a copy of it; in a TransactionSink,
    // until changes() returns.
    std::string_view bytes;

    // What finds the row, one value a column of `table->key`: the old key of an update or delete, the new row's where
    // it did not change. Empty for a table without key, a truncate, gap or alter. Valid as long as this change.
    [[nodiscard]] std::vector<const Value*> key() const;
};

// What is known of a transaction before its changes.
struct TransactionHead {
    Position position;
    uint64_t xid = 0;
    int64_t time = 0;  // the source's clock just before the commit, microseconds since 2000-01-01 UTC
    std::optional<std::string> origin;
    std::optional<std::string> context;
    uint64_t total_changes = 0;   // in all channels, also those of others
    uint64_t change_count = 0;    // in the subscriber's
    uint64_t streamed_bytes = 0;  // of all changes, all channels, encoded, where it comes in parts; else 0
};

// All changes of one source transaction in the subscriber's channels, in the order in which they were made.
struct Transaction : TransactionHead {
    std::vector<Change> changes;
    std::shared_ptr<const void> storage;  // keeps Change::bytes alive
};

// Takes transactions piece by piece, so that they may be larger than memory. What throws in it passes through
// Subscriber::receive_into(), after abort() if there was a begin(); the transaction then begins again in a later call.
class TransactionSink {
public:
    virtual ~TransactionSink() = default;
    // Followed by changes(), any number of times, and one commit() or abort().
    virtual void begin(const TransactionHead& head) = 0;
    // The next changes, in order; they may be moved from. Not compared with what was recorded before commit().
    virtual void changes(std::span<Change> changes) = 0;
    // It came whole, and is what was captured. Only now it counts, and may be acknowledged.
    virtual void commit() = 0;
    // What came since begin() is void: the session broke, or it is over. The same transaction will begin again, with
    // the same changes in the same order.
    virtual void abort() = 0;
};

// One line of JSON, without the line's end, as `paysync tail` prints it: bigint and numeric are strings, json and jsonb
// columns are strings that hold the exact text, columns stand in table order (docs/clients.md has the rest).
// `transaction` must be as it was received. Throws Error if a value cannot be read.
[[nodiscard]] std::string to_json(const Transaction& transaction);

// The same line in pieces: its head, then the changes with a comma between them, then kJsonEnd.
[[nodiscard]] std::string to_json(const TransactionHead& head);
[[nodiscard]] std::string to_json(const Change& change);
inline constexpr std::string_view kJsonEnd = "]}";

// What cannot be mended by trying again: a break of the protocol, a digest that does not agree, a wrong call.
class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message, std::string detail = {}, std::string hint = {})
        : std::runtime_error(message), detail_(std::move(detail)), hint_(std::move(hint)) {}
    [[nodiscard]] const std::string& detail() const { return detail_; }
    [[nodiscard]] const std::string& hint() const { return hint_; }

private:
    std::string detail_;
    std::string hint_;
};

// The relay said no, and would say so again (docs/wire.md §10). `code` is the relay's.
class Refused : public Error {
public:
    Refused(uint64_t code, uint64_t number, const std::string& message, std::string detail, std::string hint)
        : Error(message, std::move(detail), std::move(hint)), code_(code), number_(number) {}
    [[nodiscard]] uint64_t code() const { return code_; }
    // The number that explains (docs/wire.md §10), or 0.
    [[nodiscard]] uint64_t number() const { return number_; }

private:
    uint64_t code_;
    uint64_t number_;
};

// The defaults are the protocol's; tests shorten them.
struct Timing {
    std::chrono::milliseconds welcome{5000};      // no session by then: a new socket, the next relay
    std::chrono::milliseconds ping{2000};         // silence after which to ask
    std::chrono::milliseconds dead{10000};        // silence after which the connection is given up
    std::chrono::milliseconds acknowledge{50};    // at most one acknowledgement in this time while the stream is busy
    std::chrono::milliseconds backoff_min{100};   // first wait before trying again
    std::chrono::milliseconds backoff_max{5000};  // longest
    std::chrono::milliseconds stop{500};  // how long stop() waits for the relay to take the last acknowledgement
};

struct Options {
    std::vector<std::string> relays{"tcp://127.0.0.1:7420"};  // tried in turn
    std::string subscriber;             // empty: ephemeral, from the head on, for as long as this object lives
    std::optional<Position> position;   // what the caller has applied, if it keeps that itself; else the database knows
    std::optional<Uuid> stream_id;      // of an earlier session; both of them or none
    bool acknowledges = true;           // false: look only, the stored position stays where it is
    uint64_t window = 4 * 1024 * 1024;  // bytes the relay may be ahead of receive(); 64 KiB to 64 MiB
    // One that brings a position starts where paysync.replay() was asked for, and takes again what it has applied.
    bool obeys_rewinds = false;
    // Encoded bytes of a transaction that comes in parts which receive() takes at most; receive_into() has no limit.
    uint64_t max_transaction_bytes = 64 * 1024 * 1024;
    std::string software;  // named in the relay's log
    Timing timing;
};

// What the relay said at the beginning of the present session.
struct Session {
    uint64_t version = 0;  // of the protocol: in 1 no transaction comes in parts
    Uuid stream_id;
    std::string subscriber;  // the name, also of an ephemeral one
    std::vector<std::string> channels;
    Position start;
    std::optional<Position> rewound;  // paysync.replay() was asked for from here; the session starts here, or it
                                      // started at the position that was brought
    std::vector<uint64_t> skipped;    // numbers after `start` that paysync.skip() took out: they never come
};

// A subscription. It connects in the background, and again whenever it must; a thread of its own keeps the session
// alive while the application works. One thread may call receive() and receive_into(), any may call the rest.
class Subscriber {
public:
    // Throws Error if an option is wrong. Does not wait for a connection.
    explicit Subscriber(Options options);
    // Stops.
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    // The next transaction, whole, or nothing if none came in time or the subscription was stopped. Throws Refused or
    // Error; from then on it throws the same again.
    // Throws Error where a transaction is larger than Options::max_transaction_bytes, and, without further effect,
    // where receive_into() left one under way.
    [[nodiscard]] std::optional<Transaction> receive(std::chrono::milliseconds timeout);

    // Hands the next transaction to `sink` piece by piece, in this thread. True after its commit(). False when
    // `timeout` has passed or the subscription was stopped: a large one may then be under way, and goes on in the next
    // call, which must bring the same sink. After stop() a last call aborts it. Throws as receive(), after abort().
    [[nodiscard]] bool receive_into(TransactionSink& sink, std::chrono::milliseconds timeout);

    // Everything up to this transaction is applied and durable at the caller. Returns at once; the relay is told soon.
    // Throws Error if `position` was not received from here, or its commit() was not called.
    void acknowledge(const Position& position);

    // True if nothing lies between what was handed over, to its end, and the head that the relay told last.
    [[nodiscard]] bool caught_up() const;

    // The present session, if there is one.
    [[nodiscard]] std::optional<Session> session() const;

    // Why there is no session at present, for a person to read; empty if there is one.
    [[nodiscard]] std::string trouble() const;

    // Says good-bye: the last acknowledgement is taken by the relay, or Timing::stop passed. receive() returns nothing.
    void stop();

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace paysync
