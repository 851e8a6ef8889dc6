// Sending a streamed transaction: shapes, BEGIN, PART by PART, END (docs/wire.md §8).
#include <algorithm>

#include "delivery.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "packing.hpp"

namespace paysync::relay {

namespace {

constexpr size_t kMostForeign = 1024;  // transactions whose foreign shapes are remembered
constexpr size_t kPartOverhead = 32;   // of a PART's body besides its data, at most

zmq::message_t pack_part(const wire::Part& part) {
    std::string body;
    body.reserve(part.data.size() + kPartOverhead);
    StringSink sink{body};
    Packer packer(sink);
    wire::write_part(packer, part);
    return adopt(std::move(body));
}

}  // namespace

// From here on the session reads for itself, so that the window need not wait for it.
void Delivery::begin_large(Session& session, const TransactionPtr& transaction) {
    session.pending.reset();
    if (session.version < wire::kStreamingVersion) {
        refuse(session, {wire::Error::kTransactionTooLarge, transaction->number,
                         "transaction " + std::to_string(transaction->number) + " is too large to be sent at once",
                         "Its changes are " + std::to_string(transaction->streamed->bytes) + " bytes; above " +
                             std::to_string(wire::kStreamedBytes) +
                             " they come in parts, which version 1 of the protocol does not know.",
                         "Upgrade the subscriber's software."});
        return;
    }
    if (session.is_live()) detach(session);
    const ReaderContext& reader = transaction->streamed->reorder ? readers_.sorted : readers_.behind;
    if (transaction->streamed->reorder) reader.worker.start_once(Clock::now());
    session.large = std::make_shared<LargeTransaction>(reader, transaction, session.shared->selection);
    log_info(
        "streaming",
        {{"subscriber", session.subscriber}, {"number", transaction->number}, {"bytes", transaction->streamed->bytes}});
}

bool Delivery::advance_large(Session& session) {
    LargeTransaction& large = *session.large;
    if (large.refusal()) {
        refuse(session, Refusal(*large.refusal()));
        return false;
    }
    if (!large.begun) {
        bool all_known = false;
        const bool sent = send_shapes(session, shapes_of_large(session), all_known);
        return all_known ? send_begin(session) : sent;
    }
    if (!knows_foreign(session)) return false;
    if (large.cutter().has_part()) return send_part(session);
    return large.cutter().is_done() && send_end(session);
}

std::vector<ShapePtr> Delivery::shapes_of_large(const Session& session) const {
    const Transaction& transaction = session.large->transaction();
    std::vector<ShapePtr> shapes;
    add_shapes(transaction, session.shared->selection, shapes);
    if (const auto found = foreign_.find(transaction.number); found != foreign_.end()) {
        for (const ForeignShape& foreign : found->second) {
            if (session.shared->selection.takes(foreign.channel)) shapes.push_back(foreign.shape);
        }
    }
    return shapes;
}

// An alter may come from a shape of a channel that is not the subscriber's. That shows only when the alter comes,
// behind BEGIN, where no shape may be sent any more: the session begins anew, and then has it.
bool Delivery::knows_foreign(Session& session) {
    LargeTransaction& large = *session.large;
    const auto& found = large.cutter().foreign();
    if (std::all_of(found.begin(), found.end(), [&session](const ForeignShape& foreign) {
            return session.announced.contains(foreign.shape->id);
        })) {
        return true;
    }
    if (foreign_.size() >= kMostForeign) foreign_.erase(foreign_.begin());
    // Beside what others found who take other channels: overwriting each other's, they would begin anew in turns.
    std::vector<ForeignShape>& known = foreign_[large.transaction().number];
    for (const ForeignShape& foreign : found) {
        const auto is_same = [&foreign](const ForeignShape& one) {
            return one.channel == foreign.channel && one.shape->id == foreign.shape->id;
        };
        if (std::none_of(known.begin(), known.end(), is_same)) known.push_back(foreign);
    }
    router_.send_error(
        session.routing_id, session.id,
        {wire::Error::kStaleSession, 0, "the subscriber must be told of another shape first", "", "Say HELLO again."});
    sessions_.end(session, "an alter needs another shape");
    return false;
}

bool Delivery::send_begin(Session& session) {
    zmq::message_t body = pack_begin(session.large->transaction(), session.number, session.shared->selection);
    const size_t length = body.size();
    if (!session.has_room(length)) return false;
    const wire::Frame frame{wire::Kind::kBegin, session.id, session.credit.sent() + length,
                            session.large->transaction().number};
    if (!took(session, router_.send(session.routing_id, frame, body, session.unsent))) return false;
    session.credit.spend(length);
    counters.bytes_sent += length;
    session.large->begun = true;
    return true;
}

bool Delivery::send_part(Session& session) {
    PartCutter& cutter = session.large->cutter();
    const wire::Part part = cutter.part();
    if (!session.has_room(part.data.size() + kPartOverhead)) return false;
    zmq::message_t body = pack_part(part);
    const size_t length = body.size();
    const wire::Frame frame{wire::Kind::kPart, session.id, session.credit.sent() + length,
                            session.large->transaction().number};
    if (!took(session, router_.send(session.routing_id, frame, body, session.unsent))) return false;
    session.credit.spend(length);
    counters.batches_sent += 1;
    counters.bytes_sent += length;
    cutter.drop_part();
    return true;
}

bool Delivery::send_end(Session& session) {
    const uint64_t number = session.large->transaction().number;
    const wire::Frame frame{wire::Kind::kEnd, session.id, session.credit.sent(), number};
    if (!took(session, router_.send(session.routing_id, frame))) return false;
    counters.transactions_sent += number - session.number;
    session.number = number;
    session.large.reset();
    if (session.reader->ready().last() <= number) {
        detach(session);
    } else {
        session.reader->ready().drop_through(number);
    }
    return true;
}

}  // namespace paysync::relay
