// Every number, part and length is checked against the closing record before a byte is believed.
#include "assembler.hpp"

#include <utility>

#include "wire/shape.hpp"

namespace paysync::relay {

namespace {

constexpr size_t kMaxManifestBytes = 16 << 20;

std::optional<std::string> optional_text(bool has, wire::Bytes text) {
    return has ? std::optional<std::string>(text) : std::nullopt;
}

}  // namespace

bool Assembler::add(const ChunkRow& row, std::deque<RawTransaction>& out) {
    if (row.number == passing_over_) return true;
    if (!collecting_) return begin(row, out);
    if (row.number != next_ || row.part <= last_part_) {
        give_up(out);
        return false;
    }
    last_part_ = row.part;
    parts_seen_ += 1;
    const bool is_data = parts_seen_ <= parts_ - manifest_parts_;
    std::string& target = is_data ? held_ : manifest_;
    if (target.size() + row.payload.size() > (is_data ? expected_bytes_ : kMaxManifestBytes)) {
        refuse(wire::Error::kCorrupt, "transaction " + std::to_string(next_) + " is longer than was recorded",
               "Its closing record says " + std::to_string(expected_bytes_) + " bytes.", out);
        return true;
    }
    target.append(row.payload);
    if (parts_seen_ == parts_) finish(out);
    return true;
}

void Assembler::give_up(std::deque<RawTransaction>& out) {
    refuse(
        wire::Error::kCorrupt, "transaction " + std::to_string(next_) + " is not whole in the outbox",
        "Of the " + std::to_string(parts_) + " parts that were recorded " + std::to_string(parts_seen_) + " are there.",
        out);
}

bool Assembler::begin(const ChunkRow& row, std::deque<RawTransaction>& out) {
    if (row.number != next_ || row.part != 0) return false;
    raw_ = RawTransaction{};
    Transaction& transaction = raw_.transaction;
    transaction.number = row.number;
    transaction.epoch = row.epoch;
    transaction.nonce = std::string(row.nonce);
    transaction.xid = row.xid;
    wire::Closing closing;
    if (!wire::read_closing(row.payload, closing)) {
        refuse(wire::Error::kCorrupt, "transaction " + std::to_string(next_) + " has no readable closing record", "",
               out);
        return true;
    }
    transaction.time = closing.time;
    transaction.origin = optional_text(closing.has_origin, closing.origin);
    transaction.context = optional_text(closing.has_context, closing.context);
    transaction.changes = closing.changes;
    raw_.digest = closing.digest;
    raw_.reorder = closing.reorder();
    if (closing.manifest_parts == 0 && !take_manifest(closing)) {
        refuse(wire::Error::kCorrupt, "transaction " + std::to_string(next_) + " has no readable manifest", "", out);
        return true;
    }
    if (closing.bytes > kMaxTransactionBytes) {
        refuse(wire::Error::kTransactionTooLarge, "transaction " + std::to_string(next_) + " is too large to be sent",
               "Its changes are " + std::to_string(closing.bytes) + " bytes, the limit is " +
                   std::to_string(kMaxTransactionBytes) + ".",
               out);
        return true;
    }
    collecting_ = true;
    last_part_ = 0;
    parts_seen_ = 0;
    parts_ = closing.parts;
    manifest_parts_ = closing.manifest_parts;
    expected_bytes_ = closing.bytes;
    tail_ = std::string(closing.tail);
    held_.clear();
    manifest_.clear();
    if (parts_ == 0) finish(out);
    return true;
}

bool Assembler::take_manifest(const wire::Closing& closing) {
    wire::Reader channels(closing.channels);
    uint32_t count = 0;
    if (!channels.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        wire::ChannelTotal total;
        if (!wire::read_channel_total(channels, total)) return false;
        const wire::Digest digest{wire::get_u64(total.digest.data()), wire::get_u64(total.digest.data() + 8)};
        raw_.transaction.channels.push_back(ChannelShare{std::string(total.name), total.count, digest});
    }
    wire::Reader shapes(closing.shapes);
    if (!shapes.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        int64_t id = 0;
        if (!shapes.read_int(id)) return false;
        raw_.shapes.push_back(id);
    }
    return true;
}

void Assembler::finish(std::deque<RawTransaction>& out) {
    wire::Closing closing;
    if (manifest_parts_ > 0 && (!wire::read_manifest(manifest_, closing) || !take_manifest(closing))) {
        refuse(wire::Error::kCorrupt, "transaction " + std::to_string(next_) + " has no readable manifest", "", out);
        return;
    }
    held_ += tail_;
    if (held_.size() != expected_bytes_) {
        refuse(wire::Error::kCorrupt, "transaction " + std::to_string(next_) + " is not as long as was recorded",
               "The outbox holds " + std::to_string(held_.size()) + " bytes, its closing record says " +
                   std::to_string(expected_bytes_) + ".",
               out);
        return;
    }
    raw_.transaction.data = std::exchange(held_, {});
    out.push_back(std::move(raw_));
    collecting_ = false;
    next_ += 1;
}

void Assembler::refuse(wire::Error code, std::string message, std::string detail, std::deque<RawTransaction>& out) {
    const char* const hint = code == wire::Error::kTransactionTooLarge
                                 ? "Take the data of this transaction by a new copy, and go on after its number."
                                 : "Restore the outbox, or take a new copy of the tables.";
    // Nobody can trust the channels of a transaction that is not what was recorded, so nobody passes over it.
    if (code == wire::Error::kCorrupt) raw_.transaction.channels.clear();
    raw_.transaction.refusal = Refusal{code, next_, std::move(message), std::move(detail), hint};
    out.push_back(std::move(raw_));
    held_ = {};
    manifest_ = {};
    tail_ = {};
    collecting_ = false;
    passing_over_ = next_;
    next_ += 1;
}

}  // namespace paysync::relay
