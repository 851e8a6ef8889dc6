// Places sessions and sends to them. Reading is in delivery_pages.cpp, what is streamed in delivery_streaming.cpp.
#include "delivery.hpp"

#include <algorithm>
#include <limits>

#include "log.hpp"
#include "metrics.hpp"

namespace paysync::relay {

namespace {

constexpr int kMessagesPerTurn = 16;
constexpr uint64_t kUnsentWindows = 4;       // of window_bytes: what all sessions together may have on its way
constexpr size_t kShapesBytes = 256 * 1024;  // a SHAPES message, about
constexpr size_t kBigBytes = 1 << 20;        // a transaction that is packed only once there is credit for it

}  // namespace

Delivery::Delivery(const Options& options, const Readers& readers, Stream& stream, Sessions& sessions, Router& router)
    : options_(options),
      readers_(readers),
      stream_(stream),
      sessions_(sessions),
      router_(router),
      window_(std::make_shared<StreamReader>(readers.head, 0)) {}

SelectionClassPtr Delivery::selection_class(Selection selection) {
    std::erase_if(classes_, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<SelectionClass>& known = classes_[selection];
    SelectionClassPtr shared = known.lock();
    if (!shared) {
        shared = std::make_shared<SelectionClass>();
        shared->selection = std::move(selection);
        known = shared;
    }
    return shared;
}

bool Delivery::any_live() const {
    return std::any_of(sessions_.all().begin(), sessions_.all().end(),
                       [](const auto& entry) { return !entry.second->ended && entry.second->is_live(); });
}

uint64_t Delivery::fastest_live() const {
    uint64_t fastest = 0;
    for (const auto& [id, session] : sessions_.all()) {
        if (!session->ended && session->is_live()) fastest = std::max(fastest, session->number);
    }
    return fastest;
}

// A session begins as one that reads for itself and joins the window where that reaches it.
void Delivery::attach(Session& session) {
    detach(session);
    rejoin(session);
}

void Delivery::detach(Session& session) {
    session.pending.reset();
    session.reader = std::make_shared<StreamReader>(readers_.behind, session.number);
}

void Delivery::rejoin(Session& session) {
    if (session.large) return;
    const bool caught_up = session.reader->caught_up() || session.number >= stream_.head;
    if (!any_live()) {
        if (!caught_up || session.number < session.reader->ready().last()) return;
        // Nobody needs what is in the window, so it begins anew where this one stands.
        window_ = std::make_shared<StreamReader>(readers_.head, session.number);
    } else if (session.number > window_->ready().last()) {
        if (fastest_live() < window_->ready().last()) {
            // The window waits for sessions that are slower than this one. It belongs to the fastest: they read for
            // themselves from now on.
            for (auto& [id, other] : sessions_.all()) {
                if (!other->ended && other->is_live()) detach(*other);
            }
            window_ = std::make_shared<StreamReader>(readers_.head, session.number);
        }
    } else if (session.number + 1 < window_->ready().first()) {
        return;
    }
    session.reader.reset();
}

void Delivery::restart() {
    window_ = std::make_shared<StreamReader>(readers_.head, stream_.head);
    for (auto& [id, session] : sessions_.all()) {
        if (!session->ended) detach(*session);
    }
    for (auto& [channels, weak] : classes_) {
        if (const auto shared = weak.lock()) shared->batches.clear();
    }
    cached_bytes_ = 0;
    for (auto& [id, session] : sessions_.all()) {
        if (!session->ended) rejoin(*session);
    }
}

// What each session may have on its way: all of its window, unless they have too much together.
uint64_t Delivery::unsent_limit() const {
    uint64_t total = 0;
    uint64_t holders = 0;
    for (const auto& [id, session] : sessions_.all()) {
        const uint64_t unsent = *session->unsent;
        total += unsent;
        if (unsent > 0) holders += 1;
    }
    const uint64_t budget = kUnsentWindows * options_.window_bytes;
    return total <= budget ? std::numeric_limits<uint64_t>::max() : budget / holders;
}

bool Delivery::pump(Time) {
    bool more = false;
    blocked_ = false;
    unsent_limit_ = unsent_limit();
    window_->work();
    for (auto& [id, session] : sessions_.all()) {
        if (session->reader) session->reader->work();
        int sent = 0;
        while (sent < kMessagesPerTurn && advance(*session)) sent += 1;
        more = more || sent == kMessagesPerTurn;
        if (session->ended) continue;
        if (session->is_live()) {
            if (session->number + 1 < window_->ready().first()) detach(*session);
        } else if (sent > 0 || session->reader->caught_up()) {
            rejoin(*session);
        }
    }
    forget_batches();
    // Without anybody at the head the memory goes back; the next one there begins it anew.
    if (!window_->ready().empty() && !any_live()) window_ = std::make_shared<StreamReader>(readers_.head, stream_.head);
    return more;
}

// Sends one message, or finds out why not.
bool Delivery::advance(Session& session) {
    if (session.ended) return false;
    // Credit is the peer's word. One that grants it and reads nothing would have all this waiting in libzmq's queue.
    if (*session.unsent > std::min(session.credit.window(), unsent_limit_)) {
        blocked_ = true;
        return false;
    }
    if (session.large) return advance_large(session);
    if (!session.pending) session.pending = next_batch(session);
    if (!session.pending) return false;
    if (session.pending->refusal) {
        refuse(session, Refusal(*session.pending->refusal));
        return false;
    }
    if (session.pending->streamed) {
        begin_large(session, TransactionPtr(session.pending->streamed));
        return !session.ended;
    }
    bool all_known = false;
    const bool sent = send_shapes(session, session.pending->shapes, all_known);
    return all_known ? send_batch(session) : sent;
}

void Delivery::refuse(Session& session, const Refusal& refusal) {
    router_.send_error(session.routing_id, session.id, refusal);
    sessions_.fail(session, refusal.message, std::to_string(static_cast<int>(refusal.code)) + " " + refusal.message);
}

bool Delivery::send_batch(Session& session) {
    Batch& batch = *session.pending;
    if (!session.has_room(batch.bytes)) return false;
    const wire::Frame frame{wire::Kind::kBatch, session.id, session.credit.sent() + batch.bytes, batch.last};
    if (!took(session, router_.send(session.routing_id, frame, batch.body, session.unsent))) return false;
    session.credit.spend(batch.bytes);
    counters.batches_sent += 1;
    counters.bytes_sent += batch.bytes;
    counters.transactions_sent += batch.last - session.number;
    session.number = batch.last;
    session.pending.reset();
    if (session.reader) session.reader->ready().drop_through(session.number);
    return true;
}

bool Delivery::send_shapes(Session& session, const std::vector<ShapePtr>& needed, bool& all_known) {
    std::vector<ShapePtr> chosen;
    size_t bytes = 0;
    for (const ShapePtr& shape : needed) {
        if (session.announced.contains(shape->id)) continue;
        if (!chosen.empty() && bytes + shape->description.size() > kShapesBytes) break;
        bytes += shape->description.size();
        chosen.push_back(shape);
    }
    all_known = chosen.empty();
    if (all_known || !session.has_room(bytes)) return false;
    zmq::message_t body = pack_shapes(chosen);
    const size_t length = body.size();
    if (!session.has_room(length)) return false;
    const wire::Frame frame{wire::Kind::kShapes, session.id, session.credit.sent() + length, 0};
    if (!took(session, router_.send(session.routing_id, frame, body, session.unsent))) return false;
    session.credit.spend(length);
    counters.bytes_sent += length;
    for (const ShapePtr& shape : chosen) session.announced.insert(shape->id);
    return true;
}

bool Delivery::took(Session& session, Sent sent) {
    if (sent == Sent::kGone) sessions_.end(session, "connection closed");
    if (sent == Sent::kFull) blocked_ = true;
    return sent == Sent::kQueued;
}

// Null where nothing is there, or nothing that there is credit for.
BatchPtr Delivery::next_batch(Session& session) {
    const Window& source = session.is_live() ? window_->ready() : session.reader->ready();
    const uint64_t last = std::min(source.last(), stream_.head);
    if (session.number >= last || session.number + 1 < source.first()) return nullptr;
    if (!session.has_room(1)) return nullptr;
    const Transaction& next = *source.at(session.number + 1);
    if (next.data.size() >= kBigBytes && share_of(next, session.shared->selection) == Share::kAll &&
        !session.credit.allows(next.data.size())) {
        return nullptr;
    }
    if (session.is_live()) return live_batch(session, last);
    return pack_batch(source, session.number, last, session.shared->selection, options_.batch_bytes);
}

// From what was packed for others, where that begins at the right number; else packed here, up to where theirs begins.
BatchPtr Delivery::live_batch(Session& session, uint64_t last) {
    auto& batches = session.shared->batches;
    const auto following = batches.lower_bound(session.number);
    if (following != batches.end()) {
        if (following->first == session.number) return following->second;
        last = std::min(last, following->first);
    }
    BatchPtr batch =
        pack_batch(window_->ready(), session.number, last, session.shared->selection, options_.batch_bytes);
    if (!batch->refusal && !batch->streamed && cached_bytes_ + batch->bytes <= options_.window_bytes) {
        cached_bytes_ += batch->bytes;
        batches.emplace(session.number, batch);
    }
    return batch;
}

// A packed batch is kept while somebody at the head of its class has not had it.
void Delivery::forget_batches() {
    for (const auto& [id, session] : sessions_.all()) {
        if (session->ended || !session->is_live()) continue;
        SelectionClass& shared = *session->shared;
        shared.slowest = shared.sessions_at_head == 0 ? session->number : std::min(shared.slowest, session->number);
        shared.sessions_at_head += 1;
    }
    cached_bytes_ = 0;
    for (auto& [selection, weak] : classes_) {
        const auto shared = weak.lock();
        if (!shared) continue;
        auto& batches = shared->batches;
        const auto keep = shared->sessions_at_head == 0 ? batches.end() : batches.lower_bound(shared->slowest);
        batches.erase(batches.begin(), keep);
        for (const auto& [prev, batch] : batches) cached_bytes_ += batch->bytes;
        shared->sessions_at_head = 0;
    }
}

}  // namespace paysync::relay
