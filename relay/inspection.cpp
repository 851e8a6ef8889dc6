// One walk over the changes checks them and finds their order.
#include "inspection.hpp"

#include <algorithm>

#include "tally.hpp"

namespace paysync::relay {

namespace {

bool count(Tally& tally, const Transaction& transaction, const wire::Change& change) {
    wire::Bytes channel;
    return channel_of(transaction, change, channel) && tally.add(channel, wire::digest_of(change.bytes));
}

std::string in_order(wire::Bytes data, std::vector<wire::Placed>& placed) {
    wire::order_changes(placed.data(), placed.size());
    std::string ordered;
    ordered.reserve(data.size());
    for (const wire::Placed& change : placed) ordered.append(data.substr(change.offset, change.length));
    return ordered;
}

bool has_several_channels(const Transaction& transaction) {
    const auto& shapes = transaction.shapes;
    return std::any_of(shapes.begin(), shapes.end(),
                       [&shapes](const ShapePtr& shape) { return shape->channel != shapes[0]->channel; });
}

// An alter names two shapes. False if the one that the table had is not at hand.
bool note_previous(Transaction& transaction, const wire::Change& change) {
    const ShapePtr* const previous = find_shape(transaction, change.previous);
    const ShapePtr* const shape = find_shape(transaction, change.shape);
    if (previous == nullptr || shape == nullptr) return false;
    const std::string& channel = (*shape)->channel;
    if ((*previous)->channel != channel) transaction.foreign.push_back({channel, *previous});
    return true;
}

TransactionPtr corrupt(const std::shared_ptr<Transaction>& transaction, const std::string& what) {
    make_corrupt(*transaction, "transaction " + std::to_string(transaction->number) + " is other than was recorded",
                 what);
    return transaction;
}

}  // namespace

void resolve_shapes(RawTransaction& raw, const ShapeCache& cache) {
    std::erase_if(raw.shapes, [&](int64_t id) {
        ShapePtr shape = cache.find(id);
        if (!shape) return false;
        raw.transaction->shapes.push_back(std::move(shape));
        return true;
    });
}

const ShapePtr* find_shape(const Transaction& transaction, int64_t id) {
    const auto found = std::lower_bound(transaction.shapes.begin(), transaction.shapes.end(), id,
                                        [](const ShapePtr& shape, int64_t wanted) { return shape->id < wanted; });
    return found == transaction.shapes.end() || (*found)->id != id ? nullptr : &*found;
}

bool channel_of(const Transaction& transaction, const wire::Change& change, wire::Bytes& channel) {
    if (change.operation == wire::Operation::kEvent) {
        channel = change.channel;
        return true;
    }
    const ShapePtr* const shape = find_shape(transaction, change.shape);
    if (shape == nullptr) return false;
    channel = (*shape)->channel;
    return true;
}

TransactionPtr inspect(RawTransaction raw, const ShapeCache& cache, bool verify) {
    Transaction& transaction = *raw.transaction;
    if (transaction.refusal) return raw.transaction;
    resolve_shapes(raw, cache);
    if (!raw.shapes.empty()) {
        return corrupt(raw.transaction, "The database does not know shape " + std::to_string(raw.shapes[0]) + ".");
    }
    std::sort(transaction.shapes.begin(), transaction.shapes.end(),
              [](const ShapePtr& a, const ShapePtr& b) { return a->id < b->id; });
    if (transaction.streamed) return raw.transaction;
    if (verify || raw.reorder || has_several_channels(transaction)) {
        std::vector<wire::Placed> placed;
        Tally tally(transaction);
        wire::Reader reader(transaction.data);
        while (!reader.at_end()) {
            const size_t offset = reader.offset();
            wire::Change change;
            if (!wire::read_change(reader, change)) {
                return corrupt(raw.transaction, "At byte " + std::to_string(offset) + " stands no change.");
            }
            if (verify && !count(tally, transaction, change)) {
                return corrupt(raw.transaction, "The change at byte " + std::to_string(offset) +
                                                    " is of no shape or channel that was recorded.");
            }
            if (change.operation == wire::Operation::kAlter && !note_previous(transaction, change)) {
                return corrupt(raw.transaction, "The alter at byte " + std::to_string(offset) + " comes from shape " +
                                                    std::to_string(change.previous) +
                                                    ", which was not recorded with it.");
            }
            if (raw.reorder) placed.push_back({change.command, placed.size(), offset, change.bytes.size()});
        }
        if (verify && !tally.agrees(raw.digest)) {
            return corrupt(raw.transaction, "Counts or digests of its changes differ from its closing record.");
        }
        if (raw.reorder) transaction.keep(in_order(transaction.data, placed));
    }
    return raw.transaction;
}

}  // namespace paysync::relay
