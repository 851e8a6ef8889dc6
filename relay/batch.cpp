// Changes are copied as they came from the outbox; only the frame around them is packed here.
#include "batch.hpp"

#include <algorithm>
#include <cstring>
#include <msgpack/pack.hpp>

#include "inspection.hpp"
#include "packing.hpp"
#include "wire/streamed.hpp"

namespace paysync::relay {

namespace {

constexpr uint64_t kMaxNumbers = 65536;  // covered by one batch, so that a long stretch of nothing is cut too

template <typename AnyPacker>
void pack_optional(AnyPacker& packer, const std::optional<std::string>& text) {
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

// Packs into memory that is known to be large enough.
struct RoomSink {
    char* at;
    void write(const char* bytes, size_t length) {
        std::memcpy(at, bytes, length);
        at += length;
    }
};
using RoomPacker = msgpack::packer<RoomSink>;

constexpr size_t kMostOfInteger = 9;
constexpr size_t kMostOfLength = 5;  // what stands before an array, text or bytes

size_t room_for(const std::optional<std::string>& text) { return kMostOfLength + (text ? text->size() : 0); }

// The channels of the selection, where that takes some of them and not all.
std::string pack_some_channels(const Transaction& transaction, const Selection& selection) {
    std::string out;
    StringSink sink{out};
    Packer packer(sink);
    pack_channels(packer, transaction, selection);
    return out;
}

// What a batch brings of a transaction.
struct Selected {
    const Transaction* transaction;
    wire::Bytes channels;
    wire::Bytes data;

    [[nodiscard]] size_t room() const {
        return kMostOfLength * 2 + kMostOfInteger * 4 + room_for(transaction->origin) + room_for(transaction->context) +
               channels.size() + data.size();
    }
    void pack(RoomPacker& packer, RoomSink& sink) const {
        packer.pack_array(8);
        packer.pack_uint64(transaction->number);
        packer.pack_uint64(transaction->xid);
        packer.pack_int64(transaction->time);
        pack_optional(packer, transaction->origin);
        pack_optional(packer, transaction->context);
        packer.pack_uint64(transaction->changes);
        sink.write(channels.data(), channels.size());
        pack_bin(packer, data);
    }
};

// The body of a batch as it grows. What stands before its transactions is known last, so room is left for it.
class Body {
public:
    Body(size_t head_room, size_t capacity)
        : head_room_(head_room),
          capacity_(head_room + capacity),
          memory_(std::make_unique_for_overwrite<char[]>(capacity_)),
          sink_{memory_.get() + head_room} {}

    void add(const Selected& one) {
        reserve(one.room());
        RoomPacker packer(sink_);
        one.pack(packer, sink_);
    }

    // Puts `head` before all, and hands the memory over.
    [[nodiscard]] zmq::message_t finish(wire::Bytes head) {
        if (used() * 2 < capacity_) move_to(used());  // it waits in a queue, and may be one of many
        const size_t begin = head_room_ - head.size();
        const size_t size = used() - begin;
        std::memcpy(memory_.get() + begin, head.data(), head.size());
        char* const base = memory_.get();
        zmq::message_t message(
            base + begin, size, [](void*, void* whole) { delete[] static_cast<char*>(whole); }, base);
        (void)memory_.release();
        return message;
    }

private:
    [[nodiscard]] size_t used() const { return static_cast<size_t>(sink_.at - memory_.get()); }
    void reserve(size_t length) {
        if (capacity_ - used() < length) move_to(std::max(capacity_ * 2, used() + length));
    }
    void move_to(size_t capacity) {
        auto memory = std::make_unique_for_overwrite<char[]>(capacity);
        const size_t length = used();
        std::memcpy(memory.get() + head_room_, memory_.get() + head_room_, length - head_room_);
        memory_ = std::move(memory);
        capacity_ = capacity;
        sink_.at = memory_.get() + length;
    }

    size_t head_room_;
    size_t capacity_;
    std::unique_ptr<char[]> memory_;
    RoomSink sink_;
};

// What share of a transaction is taken, found once for a run of them that are of the same channels.
class ShareOfRun {
public:
    explicit ShareOfRun(const Selection& selection) : selection_(selection) {}

    Share operator()(const Transaction& transaction) {
        if (like_ == nullptr || !has_same_channels(transaction)) {
            share_ = share_of(transaction, selection_);
            // What is skipped says nothing about what follows.
            like_ = selection_.skips(transaction.number) ? nullptr : &transaction;
            return share_;
        }
        return selection_.skips(transaction.number) ? Share::kNone : share_;
    }

private:
    [[nodiscard]] bool has_same_channels(const Transaction& transaction) const {
        const auto same = [](const ChannelShare& a, const ChannelShare& b) { return a.name == b.name; };
        return std::equal(like_->channels.begin(), like_->channels.end(), transaction.channels.begin(),
                          transaction.channels.end(), same);
    }

    const Selection& selection_;
    const Transaction* like_ = nullptr;
    Share share_ = Share::kNone;
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
        if (!shapes.empty() && shapes.back() == shape) continue;
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
    ShareOfRun share_in_run(selection);
    Body body(kMostOfLength * 3 + kMostOfInteger * 3 + first.nonce.size(),
              std::min(source.bytes_after(prev), target + target / 2));
    uint32_t taken = 0;
    size_t bytes = 0;
    for (uint64_t number = prev + 1; number <= last && number - prev <= kMaxNumbers; ++number) {
        const Transaction& transaction = *source.at(number);
        if (transaction.epoch != first.epoch || transaction.nonce != first.nonce) break;
        const Share share = share_in_run(transaction);
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
            Selected one{&transaction, transaction.packed_channels, transaction.data};
            // A part may be shorter than the whole; what it would be is not worth cutting it out twice.
            if (taken > 0 && bytes + transaction.data.size() > target) break;
            std::string some_data, some_channels;
            if (share == Share::kSome) {
                if (!cut(transaction, selection, some_data)) {
                    if (batch->last == prev) batch->refusal = unreadable(number);
                    break;
                }
                some_channels = pack_some_channels(transaction, selection);
                one.data = some_data;
                one.channels = some_channels;
            }
            body.add(one);
            bytes += one.data.size();
            taken += 1;
            add_shapes(transaction, selection, batch->shapes);
        }
        batch->last = number;
        if (bytes >= target) break;
    }
    if (batch->refusal || batch->streamed) return batch;

    std::sort(batch->shapes.begin(), batch->shapes.end());
    batch->shapes.erase(std::unique(batch->shapes.begin(), batch->shapes.end()), batch->shapes.end());
    std::string head;
    StringSink sink{head};
    Packer packer(sink);
    packer.pack_array(5);
    packer.pack_uint64(batch->prev);
    packer.pack_uint64(batch->last);
    packer.pack_uint64(first.epoch);
    pack_str(packer, first.nonce);
    packer.pack_array(taken);
    batch->body = body.finish(head);
    batch->bytes = batch->body.size();
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
