// Outlines and checks of SHAPES, BATCH and BEGIN bodies.
#include "batch.hpp"

#include <algorithm>

#include "wire/change.hpp"
#include "wire/position.hpp"
#include "wire/shape.hpp"
#include "wire/streamed.hpp"
#include "wire/utf8.hpp"

namespace paysync {

namespace {

using wire::Bytes;
using wire::Reader;

// A count is only believed as what it counts comes.
constexpr uint32_t kReserved = 1024;

bool same_table(const Table& a, const Table& b) {
    return a.schema == b.schema && a.name == b.name && a.channel == b.channel && a.key == b.key &&
           a.columns == b.columns;
}

Column parse_column(Reader& reader, const Table& table) {
    uint32_t fields = 0;
    Bytes name;
    Bytes type;
    uint64_t form = 0;
    uint64_t number = 0;
    if (!reader.read_array(fields) || fields < 3 || fields > 4 || !reader.read_str(name) || !reader.read_str(type) ||
        !reader.read_uint(form) || !wire::is_utf8(name) || !wire::is_utf8(type))
        malformed("shape");
    // Sources of version 0.1 do not tell numbers.
    if (fields == 4 && (!reader.read_uint(number) || number == 0 || number > wire::kLastNumber)) malformed("shape");
    if (!wire::is_form(form)) {
        const std::string last = std::to_string(wire::kLastForm);
        throw Error("values of column \"" + std::string(name) + "\" of table \"" + table.schema + "." + table.name +
                        "\" have the unknown form " + std::to_string(form),
                    "This client knows the forms 0 to " + last + ", and arrays of them.",
                    "Update the client to the relay's release.");
    }
    const auto known = static_cast<wire::Form>(form);
    return Column{std::string(name), std::string(type), static_cast<Form>(wire::element_form(known)),
                  wire::is_array(known), static_cast<int>(number)};
}

// A number names one column for ever, so it cannot name two of them.
bool numbers_differ(const Table& table) {
    std::vector<int> numbers;
    for (const Column& column : table.columns) {
        if (column.number != 0) numbers.push_back(column.number);
    }
    std::sort(numbers.begin(), numbers.end());
    return std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end();
}

std::shared_ptr<const Table> parse_table(Reader& reader, int64_t id) {
    wire::ShapeHead head;
    if (!wire::read_shape_head(reader, head) || !wire::is_utf8(head.schema) || !wire::is_utf8(head.table) ||
        !wire::is_utf8(head.channel))
        malformed("shape");
    auto table = std::make_shared<Table>();
    table->shape = id;
    table->schema = head.schema;
    table->name = head.table;
    table->channel = head.channel;
    for (uint32_t i = 0; i < head.columns; ++i) table->columns.push_back(parse_column(reader, *table));
    uint32_t keys = 0;
    if (!numbers_differ(*table) || !wire::read_key_count(reader, keys)) malformed("shape");
    for (uint32_t i = 0; i < keys; ++i) {
        uint64_t column = 0;
        if (!reader.read_uint(column) || column >= table->columns.size()) malformed("shape");
        table->key.push_back(static_cast<uint32_t>(column));
    }
    return table;
}

bool read_optional(Reader& reader, std::optional<Bytes>& text) {
    if (reader.read_nil()) return true;
    Bytes bytes;
    if (!reader.read_str(bytes)) return false;
    text = bytes;
    return true;
}

// Takes the channels' totals; how many changes they count.
uint64_t count_changes(Reader& reader) {
    uint32_t count = 0;
    uint64_t changes = 0;
    if (!reader.read_array(count)) malformed("transaction");
    for (uint32_t i = 0; i < count; ++i) {
        wire::ChannelTotal total;
        if (!wire::read_channel_total(reader, total)) malformed("transaction");
        changes += total.count;
    }
    return changes;
}

Share share_of(const wire::ChannelTotal& total) {
    return {total.count, {wire::get_u64(total.digest.data()), wire::get_u64(total.digest.data() + 8)}};
}

RawTransaction parse_transaction(Reader& reader, const Position& last) {
    RawTransaction raw;
    uint32_t fields = 0;
    uint64_t number = 0;
    if (!reader.read_array(fields) || fields != 8 || !reader.read_uint(number) || !reader.read_uint(raw.xid) ||
        !reader.read_int(raw.time) || !read_optional(reader, raw.origin) || !read_optional(reader, raw.context) ||
        !reader.read_uint(raw.total))
        malformed("transaction");
    const size_t start = reader.offset();
    raw.change_count = count_changes(reader);
    raw.channels = reader.since(start);
    if (!reader.read_bin(raw.data)) malformed("transaction");
    raw.position = Position{last.epoch, last.nonce, number};
    return raw;
}

void add_share(Shares& shares, Bytes channel, const Share& share) {
    Share& sum = shares[channel];
    sum.count += share.count;
    sum.digest += share.digest;
}

// Whether the transaction was announced with changes of this channel alone, and these.
bool is_all_announced(const RawTransaction& raw, Bytes channel, const Share& share) {
    Reader reader(raw.channels);
    uint32_t count = 0;
    wire::ChannelTotal total;
    if (!reader.read_array(count) || (count > 0 && !wire::read_channel_total(reader, total))) malformed("transaction");
    return count == 1 && total.name == channel && share_of(total) == share;
}

}  // namespace

void malformed(const std::string& what) {
    throw Error("the relay sent a malformed " + what, "The bytes are not as the wire format describes them.",
                "Check that relay and client are of the same release.");
}

void not_as_captured(const Position& position) {
    throw Error("transaction " + position.text() + " is not what was captured",
                "Count or digest of a channel's changes differ from those that were recorded with the transaction.",
                "Something between the source's outbox and this client altered or lost changes: do not go on before "
                "the cause is known.");
}

void parse_shapes(Bytes body, Shapes& shapes) {
    Reader reader(body);
    uint32_t count = 0;
    if (!reader.read_array(count)) malformed("list of shapes");
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t fields = 0;
        int64_t id = 0;
        if (!reader.read_array(fields) || fields != 2 || !reader.read_int(id) || id <= 0) malformed("list of shapes");
        std::shared_ptr<const Table> table = parse_table(reader, id);
        const auto [at, added] = shapes.emplace(id, table);
        if (!added && !same_table(*at->second, *table)) {
            throw Error("shape " + std::to_string(id) + " came with two descriptions",
                        "It is a shape of table \"" + table->schema + "." + table->name + "\"; a shape never changes.");
        }
    }
    if (!reader.at_end()) malformed("list of shapes");
}

Batch parse_batch(Bytes body) {
    Batch batch;
    Reader reader(body);
    uint32_t fields = 0;
    uint32_t count = 0;
    Bytes nonce;
    if (!reader.read_array(fields) || fields != 5 || !reader.read_uint(batch.previous) ||
        !reader.read_uint(batch.last.number) || !reader.read_uint(batch.last.epoch) || !reader.read_str(nonce) ||
        !reader.read_array(count) || batch.last.number < batch.previous)
        malformed("batch");
    batch.last.nonce = nonce;
    if (!Position::parse(batch.last.text())) malformed("batch");
    batch.transactions.reserve(std::min(count, kReserved));
    uint64_t before = batch.previous;
    for (uint32_t i = 0; i < count; ++i) {
        RawTransaction raw = parse_transaction(reader, batch.last);
        if (raw.position.number <= before || raw.position.number > batch.last.number) malformed("batch");
        before = raw.position.number;
        batch.transactions.push_back(std::move(raw));
    }
    if (!reader.at_end()) malformed("batch");
    return batch;
}

RawTransaction parse_begin(Bytes body, uint64_t& previous) {
    wire::Begin begin;
    if (!wire::read_begin(body, begin)) malformed("beginning of a transaction");
    previous = begin.prev;
    RawTransaction raw;
    raw.position = Position{begin.epoch, std::string(begin.nonce), begin.number};
    if (!Position::parse(raw.position.text())) malformed("beginning of a transaction");
    raw.xid = begin.xid;
    raw.time = begin.time;
    if (begin.has_origin) raw.origin = begin.origin;
    if (begin.has_context) raw.context = begin.context;
    raw.total = begin.total;
    raw.channels = begin.channels;
    Reader channels(raw.channels);
    raw.change_count = count_changes(channels);
    raw.bytes = begin.bytes;
    return raw;
}

Shares announced(const RawTransaction& raw) {
    Shares shares;
    Reader reader(raw.channels);
    uint32_t count = 0;
    if (!reader.read_array(count)) malformed("transaction");
    for (uint32_t i = 0; i < count; ++i) {
        wire::ChannelTotal total;
        if (!wire::read_channel_total(reader, total)) malformed("transaction");
        if (!shares.emplace(total.name, share_of(total)).second) malformed("transaction");
    }
    return shares;
}

const std::shared_ptr<const Table>& described(const Position& position, const Shapes& shapes, int64_t id) {
    const auto shape = shapes.find(id);
    if (shape == shapes.end()) {
        throw Error("transaction " + position.text() + " names shape " + std::to_string(id) +
                    ", which the relay has not described");
    }
    return shape->second;
}

void verify(const RawTransaction& raw, const Shapes& shapes) {
    Shares found;
    // Nearly always all changes of a transaction are of one channel: a map is made where another one comes.
    Bytes channel;
    Share share;
    Reader reader(raw.data);
    wire::Change change;
    uint64_t changes = 0;
    for (; !reader.at_end(); changes += 1) {
        if (!wire::read_change(reader, change)) malformed("change in transaction " + raw.position.text());
        const Bytes next = change.operation == wire::Operation::kEvent
                               ? change.channel
                               : Bytes(described(raw.position, shapes, change.shape)->channel);
        if (change.operation == wire::Operation::kAlter) (void)described(raw.position, shapes, change.previous);
        if (changes > 0 && next != channel) {
            add_share(found, channel, share);
            share = {};
        }
        channel = next;
        share.count += 1;
        share.digest += wire::digest_of(change.bytes);
    }
    if (changes > raw.total) not_as_captured(raw.position);
    if (found.empty() && changes > 0) {
        if (!is_all_announced(raw, channel, share)) not_as_captured(raw.position);
        return;
    }
    if (changes > 0) add_share(found, channel, share);
    if (found != announced(raw)) not_as_captured(raw.position);
}

}  // namespace paysync
