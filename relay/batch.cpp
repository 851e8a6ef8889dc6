// Changes are copied as they came from the outbox; only the frame around them is packed here.
#include "batch.hpp"

#include <algorithm>
#include <msgpack/pack.hpp>

#include "inspection.hpp"
#include "packing.hpp"
#include "wire/streamed.hpp"

namespace paysync::relay {

namespace {

constexpr uint64_t kMaxNumbers = 65536;  // covered by one batch, so that a long stretch of nothing is cut too

void pack_optional(Packer& packer, const std::optional<std::string>& text) {
    if (text) {
        pack_str(packer, *text);
    } else {
        packer.pack_nil();
    }
}

// Appends the changes of the selection to `out`. False where the changes cannot be read, which shows only here if
// checks are off.
bool cut(const Transaction& transaction, const Selection& selection, std::string& out) {
    wire::Reader reader(transaction.data);
    wire::Change change;
    wire::Bytes channel;
    while (!reader.at_end()) {
        if (!wire::read_change(reader, change) || !channel_of(transaction, change, channel)) return false;
        if (selection.takes(channel)) out.append(change.bytes);
    }
    return true;
}

std::shared_ptr<const Refusal> unreadable(uint64_t number) {
    return std::make_shared<const Refusal>(Refusal{
        wire::Error::kCorrupt, number, "transaction " + std::to_string(number) + " has changes that cannot be read", "",
        "Restore the outbox, or take a new copy of the tables."});
}

void pack_channels(Packer& packer, const Transaction& transaction, const Selection& selection) {
    const auto mine = [&selection](const ChannelShare& share) { return selection.takes(share.name); };
    const auto count = std::count_if(transaction.channels.begin(), transaction.channels.end(), mine);
    packer.pack_array(static_cast<uint32_t>(count));
    for (const ChannelShare& share : transaction.channels) {
        if (!mine(share)) continue;
        char digest[wire::kDigestBytes];
        wire::put_digest(digest, share.digest);
        packer.pack_array(3);
        pack_str(packer, share.name);
        packer.pack_uint64(share.count);
        pack_bin(packer, wire::Bytes(digest, sizeof digest));
    }
}

void pack_transaction(Packer& packer, const Transaction& transaction, const Selection& selection, wire::Bytes data) {
    packer.pack_array(8);
    packer.pack_uint64(transaction.number);
    packer.pack_uint64(transaction.xid);
    packer.pack_int64(transaction.time);
    pack_optional(packer, transaction.origin);
    pack_optional(packer, transaction.context);
    packer.pack_uint64(transaction.changes);
    pack_channels(packer, transaction, selection);
    pack_bin(packer, data);
}

struct Selected {
    const Transaction* transaction;
    bool whole;
    std::string part;  // where not whole
};

}  // namespace

Share share_of(const Transaction& transaction, const Selection& selection) {
    size_t taken = 0;
    for (const ChannelShare& share : transaction.channels) taken += selection.takes(share.name) ? 1 : 0;
    if (taken == 0 || selection.skips(transaction.number)) return Share::kNone;
    return taken == transaction.channels.size() ? Share::kAll : Share::kSome;
}

void add_shapes(const Transaction& transaction, const Selection& selection, std::vector<ShapePtr>& shapes) {
    for (const ShapePtr& shape : transaction.shapes) {
        if (selection.takes(shape->channel)) shapes.push_back(shape);
    }
    for (const ForeignShape& foreign : transaction.foreign) {
        if (selection.takes(foreign.channel)) shapes.push_back(foreign.shape);
    }
}

BatchPtr pack_batch(const Window& source, uint64_t prev, uint64_t last, const Selection& selection, size_t target) {
    auto batch = std::make_shared<Batch>();
    batch->prev = prev;
    batch->last = prev;
    const Transaction& first = *source.at(prev + 1);
    std::vector<Selected> selected;
    size_t bytes = 0;
    for (uint64_t number = prev + 1; number <= last && number - prev <= kMaxNumbers; ++number) {
        const Transaction& transaction = *source.at(number);
        if (transaction.epoch != first.epoch || transaction.nonce != first.nonce) break;
        const Share share = share_of(transaction, selection);
        // What cannot be sent can be skipped all the same.
        const bool stops = transaction.refusal && transaction.channels.empty() && !selection.skips(number);
        if (transaction.refusal && (share != Share::kNone || stops)) {
            if (batch->last == prev) batch->refusal = std::make_shared<const Refusal>(*transaction.refusal);
            break;
        }
        if (transaction.streamed && share != Share::kNone) {
            if (batch->last == prev) batch->streamed = source.at(number);
            break;
        }
        if (share != Share::kNone) {
            Selected one{&transaction, share == Share::kAll, {}};
            // A part may be shorter than the whole; what it would be is not worth cutting it out twice.
            if (!selected.empty() && bytes + transaction.data.size() > target) break;
            if (!one.whole && !cut(transaction, selection, one.part)) {
                if (batch->last == prev) batch->refusal = unreadable(number);
                break;
            }
            bytes += one.whole ? transaction.data.size() : one.part.size();
            add_shapes(transaction, selection, batch->shapes);
            selected.push_back(std::move(one));
        }
        batch->last = number;
        if (bytes >= target) break;
    }
    if (batch->refusal || batch->streamed) return batch;

    std::sort(batch->shapes.begin(), batch->shapes.end());
    batch->shapes.erase(std::unique(batch->shapes.begin(), batch->shapes.end()), batch->shapes.end());
    std::string body;
    body.reserve(bytes + 64 + selected.size() * 128);
    StringSink sink{body};
    Packer packer(sink);
    packer.pack_array(5);
    packer.pack_uint64(batch->prev);
    packer.pack_uint64(batch->last);
    packer.pack_uint64(first.epoch);
    pack_str(packer, first.nonce);
    packer.pack_array(static_cast<uint32_t>(selected.size()));
    for (const Selected& one : selected) {
        pack_transaction(packer, *one.transaction, selection, one.whole ? one.transaction->data : one.part);
    }
    batch->bytes = body.size();
    batch->body = adopt(std::move(body));
    return batch;
}

zmq::message_t pack_begin(const Transaction& transaction, uint64_t prev, const Selection& selection) {
    wire::Begin begin;
    begin.prev = prev;
    begin.number = transaction.number;
    begin.epoch = transaction.epoch;
    begin.nonce = transaction.nonce;
    begin.xid = transaction.xid;
    begin.time = transaction.time;
    begin.has_origin = transaction.origin.has_value();
    begin.origin = transaction.origin ? wire::Bytes(*transaction.origin) : wire::Bytes();
    begin.has_context = transaction.context.has_value();
    begin.context = transaction.context ? wire::Bytes(*transaction.context) : wire::Bytes();
    begin.total = transaction.changes;
    begin.bytes = transaction.streamed->bytes;
    std::string body;
    StringSink sink{body};
    Packer packer(sink);
    wire::write_begin(packer, begin, [&](Packer& out) { pack_channels(out, transaction, selection); });
    return adopt(std::move(body));
}

zmq::message_t pack_shapes(const std::vector<ShapePtr>& shapes) {
    std::string body;
    StringSink sink{body};
    Packer packer(sink);
    packer.pack_array(static_cast<uint32_t>(shapes.size()));
    for (const ShapePtr& shape : shapes) {
        packer.pack_array(2);
        packer.pack_int64(shape->id);
        // The description is a msgpack value already.
        body.append(shape->description);
    }
    return adopt(std::move(body));
}

zmq::message_t adopt(std::string bytes) {
    auto owned = std::make_unique<std::string>(std::move(bytes));
    std::string* const raw = owned.get();
    zmq::message_t message(
        raw->data(), raw->size(), [](void*, void* hint) { delete static_cast<std::string*>(hint); }, raw);
    (void)owned.release();
    return message;
}

}  // namespace paysync::relay
