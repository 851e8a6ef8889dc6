// Every number, part and length is checked against the closing record before a byte is believed.
#include "assembler.hpp"

#include <utility>

#include "wire/shape.hpp"

namespace paysync::relay {

namespace {

std::optional<std::string> optional_text(bool has, wire::Bytes text) {
    return has ? std::optional<std::string>(text) : std::nullopt;
}

// Channels and shapes as closing records and manifest parts hold them; false if they are none.
bool take_manifest(const wire::Closing& closing, RawTransaction& raw) {
    wire::Reader channels(closing.channels);
    uint32_t count = 0;
    if (!channels.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        wire::ChannelTotal total;
        if (!wire::read_channel_total(channels, total)) return false;
        const wire::Digest digest{wire::get_u64(total.digest.data()), wire::get_u64(total.digest.data() + 8)};
        raw.transaction->channels.push_back(ChannelShare{std::string(total.name), total.count, digest});
    }
    raw.transaction->packed_channels = closing.channels;
    wire::Reader shapes(closing.shapes);
    if (!shapes.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        int64_t id = 0;
        if (!shapes.read_int(id)) return false;
        raw.shapes.push_back(id);
    }
    return true;
}

}  // namespace

bool take_manifest_parts(std::string joined, RawTransaction& raw) {
    const auto owned = std::make_shared<const std::string>(std::move(joined));
    wire::Closing closing;
    if (!wire::read_manifest(*owned, closing) || !take_manifest(closing, raw)) return false;
    raw.transaction->storage = owned;
    return true;
}

void make_corrupt(Transaction& transaction, std::string message, std::string detail) {
    transaction.data = transaction.packed_channels = {};
    transaction.storage.reset();
    transaction.channels.clear();
    transaction.streamed.reset();
    transaction.refusal = Refusal{wire::Error::kCorrupt, transaction.number, std::move(message), std::move(detail),
                                  "Restore the outbox, or take a new copy of the tables."};
}

bool Assembler::add(const wire::PageChunk& chunk, const Storage& page, std::deque<RawTransaction>& out) {
    if (chunk.number == passing_over_) return true;
    if (!collecting_) return begin(chunk, page, out);
    if (chunk.number != next_ || chunk.part <= last_part_) {
        give_up(out);
        return false;
    }
    last_part_ = chunk.part;
    parts_seen_ += 1;
    const bool is_data = parts_seen_ <= parts_ - manifest_parts_;
    std::string& target = is_data ? held_ : manifest_;
    if (target.size() + chunk.payload.size() > (is_data ? expected_bytes_ : kMaxManifestBytes)) {
        refuse("transaction " + std::to_string(next_) + " is longer than was recorded",
               "Its closing record says " + std::to_string(expected_bytes_) + " bytes.", out);
        return true;
    }
    target.append(chunk.payload);
    if (parts_seen_ == parts_) finish(out);
    return true;
}

void Assembler::give_up(std::deque<RawTransaction>& out) {
    refuse(
        "transaction " + std::to_string(next_) + " is not whole in the outbox",
        "Of the " + std::to_string(parts_) + " parts that were recorded " + std::to_string(parts_seen_) + " are there.",
        out);
}

bool Assembler::begin(const wire::PageChunk& chunk, const Storage& page, std::deque<RawTransaction>& out) {
    if (chunk.number != next_ || chunk.part != 0) return false;
    raw_ = RawTransaction{};
    Transaction& transaction = *raw_.transaction;
    transaction.number = chunk.number;
    transaction.epoch = chunk.epoch;
    transaction.nonce = std::string(chunk.nonce);
    transaction.xid = chunk.xid;
    wire::Closing closing;
    if (!wire::read_closing(chunk.payload, closing)) {
        refuse("transaction " + std::to_string(next_) + " has no readable closing record", "", out);
        return true;
    }
    transaction.time = closing.time;
    transaction.origin = optional_text(closing.has_origin, closing.origin);
    transaction.context = optional_text(closing.has_context, closing.context);
    transaction.changes = closing.changes;
    transaction.storage = page;
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
        // It may wait for long: not with a whole page.
        transaction.keep({});
        leave(out);
        return true;
    }
    expected_bytes_ = closing.bytes;
    if (closing.parts == 0) {
        transaction.data = closing.tail;
        if (has_length(closing.tail.size(), out)) pass_on(out);
        return true;
    }
    collecting_ = true;
    last_part_ = 0;
    parts_seen_ = 0;
    parts_ = closing.parts;
    manifest_parts_ = closing.manifest_parts;
    tail_ = std::string(closing.tail);
    held_.clear();
    held_.reserve(expected_bytes_ + closing.channels.size());
    manifest_.clear();
    transaction.keep({});
    return true;
}

bool Assembler::has_length(size_t bytes, std::deque<RawTransaction>& out) {
    if (bytes == expected_bytes_) return true;
    refuse("transaction " + std::to_string(next_) + " is not as long as was recorded",
           "The outbox holds " + std::to_string(bytes) + " bytes, its closing record says " +
               std::to_string(expected_bytes_) + ".",
           out);
    return false;
}

void Assembler::finish(std::deque<RawTransaction>& out) {
    if (manifest_parts_ > 0 && !take_manifest_parts(std::exchange(manifest_, {}), raw_)) {
        refuse("transaction " + std::to_string(next_) + " has no readable manifest", "", out);
        return;
    }
    held_ += tail_;
    if (!has_length(held_.size(), out)) return;
    raw_.transaction->keep(std::exchange(held_, {}));
    pass_on(out);
}

void Assembler::pass_on(std::deque<RawTransaction>& out) {
    out.push_back(std::move(raw_));
    collecting_ = false;
    next_ += 1;
}

void Assembler::refuse(std::string message, std::string detail, std::deque<RawTransaction>& out) {
    make_corrupt(*raw_.transaction, std::move(message), std::move(detail));
    leave(out);
}

// Nothing more of it is read.
void Assembler::leave(std::deque<RawTransaction>& out) {
    passing_over_ = next_;
    held_ = {};
    manifest_ = {};
    tail_ = {};
    pass_on(out);
}

}  // namespace paysync::relay
