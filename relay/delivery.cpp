// Places sessions and sends to them. Reading is in delivery_pages.cpp.
#include "delivery.hpp"

#include <algorithm>

#include "log.hpp"

namespace paysync::relay {

namespace {

constexpr int kMessagesPerTurn = 16;
constexpr size_t kShapesBytes = 256 * 1024;  // a SHAPES message, about
constexpr size_t kBigBytes = 1 << 20;        // a transaction that is packed only once there is credit for it

}  // namespace

Delivery::Delivery(const Options& options, const ReaderContext& context, Stream& stream, Sessions& sessions,
                   Router& router)
    : options_(options),
      context_(context),
      stream_(stream),
      sessions_(sessions),
      router_(router),
      window_(std::make_shared<StreamReader>(context, 0)) {}

ChannelClassPtr Delivery::channel_class(std::vector<std::string> names) {
    Channels channels = make_channels(std::move(names));
    std::erase_if(classes_, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<ChannelClass>& known = classes_[channels];
    ChannelClassPtr shared = known.lock();
    if (!shared) {
        shared = std::make_shared<ChannelClass>(ChannelClass{std::move(channels), {}});
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
    session.reader = std::make_shared<StreamReader>(context_, session.number);
}

void Delivery::rejoin(Session& session) {
    const bool caught_up = session.reader->caught_up() || session.number >= stream_.head;
    if (!any_live()) {
        if (!caught_up || session.number < session.reader->ready().last()) return;
        // Nobody needs what is in the window, so it begins anew where this one stands.
        window_ = std::make_shared<StreamReader>(context_, session.number);
    } else if (session.number > window_->ready().last()) {
        if (fastest_live() < window_->ready().last()) {
            // The window waits for sessions that are slower than this one. It belongs to the fastest: they read for
            // themselves from now on.
            for (auto& [id, other] : sessions_.all()) {
                if (!other->ended && other->is_live()) detach(*other);
            }
            window_ = std::make_shared<StreamReader>(context_, session.number);
        }
    } else if (session.number + 1 < window_->ready().first()) {
        return;
    }
    session.reader.reset();
    session.big_read_since.reset();
}

void Delivery::restart() {
    window_ = std::make_shared<StreamReader>(context_, stream_.head);
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

bool Delivery::pump(Time) {
    bool more = false;
    blocked_ = false;
    for (auto& [id, session] : sessions_.all()) {
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
    if (!window_->ready().empty() && !any_live()) window_ = std::make_shared<StreamReader>(context_, stream_.head);
    return more;
}

// Sends one message, or finds out why not.
bool Delivery::advance(Session& session) {
    if (session.ended) return false;
    if (!session.pending) session.pending = next_batch(session);
    if (!session.pending) return false;
    if (session.pending->refusal) {
        const Refusal refusal = *session.pending->refusal;
        router_.send_error(session.routing_id, session.id, refusal);
        sessions_.end(session, refusal.message);
        return false;
    }
    const bool all_known =
        std::all_of(session.pending->shapes.begin(), session.pending->shapes.end(),
                    [&session](const ShapePtr& shape) { return session.announced.contains(shape->id); });
    if (!all_known) return send_shapes(session);
    Batch& batch = *session.pending;
    if (!session.credit.allows(batch.bytes)) return false;
    const wire::Frame frame{wire::Kind::kBatch, session.id, session.credit.sent() + batch.bytes, batch.last};
    if (!took(session, router_.send(session.routing_id, frame, batch.body))) return false;
    session.credit.spend(batch.bytes);
    session.number = batch.last;
    session.pending.reset();
    if (session.reader) session.reader->ready().drop_through(session.number);
    session.big_read_since.reset();
    return true;
}

bool Delivery::send_shapes(Session& session) {
    std::vector<ShapePtr> chosen;
    size_t bytes = 0;
    for (const ShapePtr& shape : session.pending->shapes) {
        if (session.announced.contains(shape->id)) continue;
        if (!chosen.empty() && bytes + shape->description.size() > kShapesBytes) break;
        bytes += shape->description.size();
        chosen.push_back(shape);
    }
    if (!session.credit.allows(bytes)) return false;
    zmq::message_t body = pack_shapes(chosen);
    const size_t length = body.size();
    if (!session.credit.allows(length)) return false;
    const wire::Frame frame{wire::Kind::kShapes, session.id, session.credit.sent() + length, 0};
    if (!took(session, router_.send(session.routing_id, frame, body))) return false;
    session.credit.spend(length);
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
    if (!session.credit.allows(1)) return nullptr;
    const Transaction& next = *source.at(session.number + 1);
    if (next.data.size() >= kBigBytes && share_of(next, session.channels->channels) == Share::kAll &&
        !session.credit.allows(next.data.size())) {
        return nullptr;
    }
    if (session.is_live()) return live_batch(session, last);
    return pack_batch(source, session.number, last, session.channels->channels, options_.batch_bytes);
}

// From what was packed for others, where that begins at the right number; else packed here, up to where theirs begins.
BatchPtr Delivery::live_batch(Session& session, uint64_t last) {
    auto& batches = session.channels->batches;
    const auto following = batches.lower_bound(session.number);
    if (following != batches.end()) {
        if (following->first == session.number) return following->second;
        last = std::min(last, following->first);
    }
    BatchPtr batch =
        pack_batch(window_->ready(), session.number, last, session.channels->channels, options_.batch_bytes);
    if (!batch->refusal && cached_bytes_ + batch->bytes <= options_.window_bytes) {
        cached_bytes_ += batch->bytes;
        batches.emplace(session.number, batch);
    }
    return batch;
}

// A packed batch is kept while somebody at the head of its class has not had it.
void Delivery::forget_batches() {
    std::map<const ChannelClass*, uint64_t> slowest;
    for (const auto& [id, session] : sessions_.all()) {
        if (session->ended || !session->is_live()) continue;
        const auto [at, added] = slowest.try_emplace(session->channels.get(), session->number);
        if (!added) at->second = std::min(at->second, session->number);
    }
    cached_bytes_ = 0;
    for (auto& [channels, weak] : classes_) {
        const auto shared = weak.lock();
        if (!shared) continue;
        const auto found = slowest.find(shared.get());
        const auto keep = found == slowest.end() ? shared->batches.end() : shared->batches.lower_bound(found->second);
        shared->batches.erase(shared->batches.begin(), keep);
        for (const auto& [prev, batch] : shared->batches) cached_bytes_ += batch->bytes;
    }
}

}  // namespace paysync::relay
