// Every number, part and length is checked against the closing record before a byte is believed.
#include "assembler.hpp"

#include <utility>

#include "wire/shape.hpp"

namespace paysync::relay {

namespace {

std::optional<std::string> optional_text(bool has, wire::Bytes text) {
    return has ? std::optional<std::string>(text) : std::nullopt;
}

}  // namespace

bool take_manifest(const wire::Closing& closing, RawTransaction& raw) {
    wire::Reader channels(closing.channels);
    uint32_t count = 0;
    if (!channels.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        wire::ChannelTotal total;
        if (!wire::read_channel_total(channels, total)) return false;
        const wire::Digest digest{wire::get_u64(total.digest.data()), wire::get_u64(total.digest.data() + 8)};
        raw.transaction.channels.push_back(ChannelShare{std::string(total.name), total.count, digest});
    }
    wire::Reader shapes(closing.shapes);
    if (!shapes.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        int64_t id = 0;
        if (!shapes.read_int(id)) return false;
        raw.shapes.push_back(id);
    }
    return true;
}

bool take_manifest_parts(wire::Bytes joined, RawTransaction& raw) {
    wire::Closing closing;
    return wire::read_manifest(joined, closing) && take_manifest(closing, raw);
}

void make_corrupt(Transaction& transaction, std::string message, std::string detail) {
    transaction.data.clear();
    transaction.channels.clear();
    transaction.streamed.reset();
    transaction.refusal = Refusal{wire::Error::kCorrupt, transaction.number, std::move(message), std::move(detail),
                                  "Restore the outbox, or take a new copy of the tables."};
}

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
        refuse("transaction " + std::to_string(next_) + " is longer than was recorded",
               "Its closing record says " + std::to_string(expected_bytes_) + " bytes.", out);
        return true;
    }
    target.append(row.payload);
    if (parts_seen_ == parts_) finish(out);
    return true;
}

void Assembler::give_up(std::deque<RawTransaction>& out) {
    refuse(
        "transaction " + std::to_string(next_) + " is not whole in the outbox",
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
        refuse("transaction " + std::to_string(next_) + " has no readable closing record", "", out);
        return true;
    }
    transaction.time = closing.time;
    transaction.origin = optional_text(closing.has_origin, closing.origin);
    transaction.context = optional_text(closing.has_context, closing.context);
    transaction.changes = closing.changes;
    raw_.digest = closing.digest;
    raw_.reorder = closing.reorder();
    if (closing.manifest_parts == 0 && !take_manifest(closing, raw_)) {
        refuse("transaction " + std::to_string(next_) + " has no readable manifest", "", out);
        return true;
    }
    if (closing.bytes > wire::kStreamedBytes) {
        transaction.streamed =
            Recorded{closing.bytes, closing.parts - closing.manifest_parts, closing.digest, closing.reorder()};
        raw_.manifest_parts = closing.manifest_parts;
        if (closing.manifest_parts > kMaxManifestParts) {
            refuse("transaction " + std::to_string(next_) + " has no readable manifest",
                   "It would have " + std::to_string(closing.manifest_parts) + " parts.", out);
            return true;
        }
        leave(out);
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

void Assembler::finish(std::deque<RawTransaction>& out) {
    if (manifest_parts_ > 0 && !take_manifest_parts(manifest_, raw_)) {
        refuse("transaction " + std::to_string(next_) + " has no readable manifest", "", out);
        return;
    }
    held_ += tail_;
    if (held_.size() != expected_bytes_) {
        refuse("transaction " + std::to_string(next_) + " is not as long as was recorded",
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

void Assembler::refuse(std::string message, std::string detail, std::deque<RawTransaction>& out) {
    make_corrupt(raw_.transaction, std::move(message), std::move(detail));
    leave(out);
}

// Nothing more of it is read.
void Assembler::leave(std::deque<RawTransaction>& out) {
    out.push_back(std::move(raw_));
    held_ = {};
    manifest_ = {};
    tail_ = {};
    collecting_ = false;
    passing_over_ = next_;
    next_ += 1;
}

}  // namespace paysync::relay
