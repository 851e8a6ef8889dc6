// The public class: options are checked here, the rest is handed on.
#include <algorithm>

#include "handover.hpp"
#include "worker.hpp"

namespace paysync {

namespace {

bool is_name(const std::string& name) {
    const auto first = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    return name.size() <= 63 && first(name[0]) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return first(c) || c == '-' || c == '.'; });
}

Options checked(Options options) {
    if (options.relays.empty()) throw Error("no relay is given", {}, "Name at least one endpoint in Options::relays.");
    for (const std::string& relay : options.relays) {
        if (relay.starts_with("tcp://") || relay.starts_with("ipc://")) continue;
        throw Error("\"" + relay + "\" is no endpoint of a relay", {}, "An endpoint is tcp://HOST:PORT or ipc://PATH.");
    }
    if (!options.subscriber.empty() && !is_name(options.subscriber)) {
        throw Error("\"" + options.subscriber + "\" is no name of a subscriber",
                    "A name is 1 to 63 characters of a-z 0-9 _ - . and begins with a letter, a digit or _.");
    }
    if (options.window < wire::kMinWindow || options.window > wire::kMaxWindow) {
        throw Error(
            "a window of " + std::to_string(options.window) + " bytes is out of range",
            "It is " + std::to_string(wire::kMinWindow) + " to " + std::to_string(wire::kMaxWindow) + " bytes.");
    }
    if (options.stream_id.has_value() != options.position.has_value()) {
        throw Error(
            options.stream_id ? "a stream id is given without a position" : "a position is given without its stream id",
            "Only both together say which history a number is from.",
            "Store Session::stream_id beside the first position, and give both.");
    }
    if (options.position && !Position::parse(options.position->text())) {
        throw Error("\"" + options.position->text() + "\" is no position", "A position is EPOCH.NONCE:NUMBER.");
    }
    if (options.software.empty()) options.software = "libpaysync/" PAYSYNC_VERSION;
    if (options.software.size() > 200) throw Error("the software's name is longer than 200 bytes");
    return options;
}

}  // namespace

struct Subscriber::Parts {
    explicit Parts(Options given)
        : options(checked(std::move(given))),
          inbox(options, [this] { waker.wake(); }),
          handover(inbox, options.max_transaction_bytes),
          worker(options, inbox, waker) {}
    ~Parts() { inbox.stop(); }
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;

    const Options options;
    Waker waker;
    Inbox inbox;
    Handover handover;
    Worker worker;  // last: its end waits for the thread that uses the others
};

Subscriber::Subscriber(Options options) : parts_(std::make_unique<Parts>(std::move(options))) {}

Subscriber::~Subscriber() = default;

std::optional<Transaction> Subscriber::receive(std::chrono::milliseconds timeout) {
    return parts_->handover.receive(timeout);
}

bool Subscriber::receive_into(TransactionSink& sink, std::chrono::milliseconds timeout) {
    return parts_->handover.receive_into(sink, timeout);
}

void Subscriber::acknowledge(const Position& position) { parts_->inbox.acknowledge(position); }

bool Subscriber::caught_up() const { return parts_->inbox.caught_up(); }

std::optional<Session> Subscriber::session() const { return parts_->inbox.session(); }

std::string Subscriber::trouble() const { return parts_->inbox.trouble(); }

void Subscriber::stop() {
    parts_->inbox.stop();
    parts_->worker.join();
}

}  // namespace paysync
