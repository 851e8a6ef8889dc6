// The loop of a subscription's thread.
#include "worker.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

namespace paysync {

namespace {

// Between two looks at the clock; keeps acknowledgements going while a flood of batches comes in.
constexpr int kMessagesATurn = 64;

std::mt19937_64 seeded() {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
}

}  // namespace

Worker::Worker(const Options& options, Inbox& inbox, const Waker& waker)
    : options_(options),
      inbox_(inbox),
      waker_(waker),
      context_(shared_context()),
      random_(seeded()),
      next_backoff_(options.timing.backoff_min),
      conversation_(options, inbox, random_(),
                    [this](const wire::Frame& frame, wire::Bytes body) { return connection_->send(frame, body); }) {
    // Signals are the application's: none may be taken by this thread or by those of libzmq.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread(&Worker::run, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Worker::~Worker() { join(); }

void Worker::join() {
    const std::lock_guard lock(joining_);
    if (thread_.joinable()) thread_.join();
}

void Worker::run() {
    try {
        for (size_t attempt = 0; !inbox_.ended(); ++attempt) {
            const std::string& relay = options_.relays[attempt % options_.relays.size()];
            const Step step = serve(relay);
            if (inbox_.ended()) farewell();
            conversation_.closed(step.why + " (" + relay + ")");
            connection_.reset();
            if (conversation_.take_progress()) next_backoff_ = options_.timing.backoff_min;
            if (!inbox_.ended()) pause(step.kind == Step::Kind::kPause ? step.pause : backoff());
        }
    } catch (...) {
        inbox_.fail(std::current_exception());
        leave();
    }
    connection_.reset();
    context_.reset();
}

// After a failure: what was acknowledged before it still goes out.
void Worker::leave() noexcept {
    try {
        conversation_.begin_farewell();
        conversation_.say_bye();
    } catch (...) {
        // The failure before this one is what the caller sees.
    }
}

void Worker::connect(const std::string& relay) {
    try {
        const std::string user = options_.subscriber.empty() ? wire::kEphemeral : options_.subscriber;
        connection_ = std::make_unique<Connection>(context_, relay, user);
    } catch (const zmq::error_t& error) {
        throw Error("cannot connect to \"" + relay + "\": " + error.what(), {},
                    "An endpoint is tcp://HOST:PORT or ipc://PATH.");
    }
    conversation_.opened(Clock::now());
}

Step Worker::serve(const std::string& relay) {
    connect(relay);
    bool drained = true;
    while (!inbox_.ended()) {
        Step step = turn(drained);
        if (step.kind != Step::Kind::kKeep) return step;
    }
    return {};
}

// One wait and all that follows from it.
Step Worker::turn(bool& drained) {
    const auto until = std::max(Clock::duration::zero(), conversation_.deadline() - Clock::now());
    const auto timeout =
        std::chrono::ceil<std::chrono::milliseconds>(std::min<Clock::duration>(until, std::chrono::seconds(60)));
    const Connection::Ready ready =
        connection_->wait(drained ? timeout : std::chrono::milliseconds(0), conversation_.wants_to_write(), waker_);
    if (ready.writable) conversation_.writable(Clock::now());
    // What came before the connection broke still counts: it may say why.
    Step step = receive_all(drained);
    if (step.kind != Step::Kind::kKeep) return step;
    if (ready.trouble && ready.trouble->denied) {
        throw Refused(static_cast<uint64_t>(wire::Error::kUnknownSubscriber), 0,
                      "the relay does not let \"" + options_.subscriber + "\" in", ready.trouble->why,
                      "Check the subscriber's name, and that the relay accepts it from this address.");
    }
    if (ready.trouble) return {Step::Kind::kReconnect, {}, ready.trouble->why};
    return conversation_.tick(Clock::now(), drained);
}

Step Worker::receive_all(bool& drained) {
    drained = false;
    for (int i = 0; i < kMessagesATurn; ++i) {
        auto message = std::make_shared<Connection::Message>();
        if (!connection_->receive(*message)) {
            drained = true;
            return {};
        }
        const wire::Bytes head(static_cast<const char*>(message->head.data()), message->head.size());
        const wire::Bytes body(static_cast<const char*>(message->body.data()), message->body.size());
        Step step = conversation_.receive(head, body, message->frames, message, Clock::now());
        if (step.kind != Step::Kind::kKeep) return step;
    }
    return {};
}

void Worker::farewell() {
    const Clock::time_point end = Clock::now() + options_.timing.stop;
    conversation_.begin_farewell();
    while (!conversation_.farewell_heard() && Clock::now() < end) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        const Connection::Ready ready = connection_->wait(std::max(left, std::chrono::milliseconds(0)), false, waker_);
        bool drained = false;
        if (receive_all(drained).kind != Step::Kind::kKeep || ready.trouble) return;
    }
    conversation_.say_bye();
}

void Worker::pause(std::chrono::milliseconds duration) {
    const Clock::time_point end = Clock::now() + duration;
    while (!inbox_.ended() && Clock::now() < end) {
        zmq::pollitem_t item{nullptr, waker_.descriptor(), ZMQ_POLLIN, 0};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        (void)zmq_poll(&item, 1, std::max<long>(left.count(), 0));
        if ((item.revents & ZMQ_POLLIN) != 0) waker_.clear();
    }
}

// Half to the whole of a time that doubles, so that subscribers of a relay that went away do not come back at once.
std::chrono::milliseconds Worker::backoff() {
    const std::chrono::milliseconds longest = next_backoff_;
    next_backoff_ = std::min(next_backoff_ * 2, options_.timing.backoff_max);
    std::uniform_int_distribution<long> pick(longest.count() / 2, longest.count());
    return std::chrono::milliseconds(pick(random_));
}

}  // namespace paysync
