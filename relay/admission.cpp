// One HELLO at a time a connection, one session a subscriber.
#include "admission.hpp"

#include <algorithm>

#include "identity.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "packing.hpp"
#include "wire/messages.hpp"

namespace paysync::relay {

Refusal refusal_of(const DatabaseError& error) {
    static constexpr std::pair<std::string_view, wire::Error> kCodes[] = {{"PS001", wire::Error::kStreamMismatch},
                                                                          {"PS002", wire::Error::kUnknownHistory},
                                                                          {"PS003", wire::Error::kTruncated},
                                                                          {"PS004", wire::Error::kFuture},
                                                                          {"PS005", wire::Error::kGone},
                                                                          {"PS006", wire::Error::kCutOff},
                                                                          {"PS007", wire::Error::kPaused},
                                                                          {"PS010", wire::Error::kCorrupt},
                                                                          {"42704", wire::Error::kUnknownSubscriber}};
    for (const auto& [sqlstate, code] : kCodes) {
        if (error.sqlstate != sqlstate) continue;
        const bool has_number = code == wire::Error::kTruncated || code == wire::Error::kFuture ||
                                code == wire::Error::kGone || code == wire::Error::kCutOff;
        return Refusal{code, has_number ? number_in(error.detail) : 0, error.message, error.detail, error.hint};
    }
    // What the database says of itself is for the log, not for the network.
    return Refusal{wire::Error::kDatabaseDown, 0, "the relay's database cannot answer now", "", "Come back later."};
}

void Admission::apply(Application application, Time now) {
    // A HELLO on a connection ends whatever was begun on it.
    if (Session* const old = sessions_.by_peer(application.routing_id))
        sessions_.end(*old, "replaced by its own connection");
    withdraw(application.routing_id);
    if (!stream_.serving) {
        const bool starting = !stream_.ever_served;
        refuse(application,
               {starting ? wire::Error::kStarting : wire::Error::kDatabaseDown, 0,
                starting ? "the relay has no database yet" : "the relay lost its database", "", "Come back later."});
        return;
    }
    if (sessions_.full() || waiting_.size() >= Sessions::kMost) {
        refuse(application,
               {wire::Error::kStarting, 0, "the relay has no room for another session",
                "It serves at most " + std::to_string(Sessions::kMost) + " at a time.", "Come back later."});
        return;
    }
    const auto applicant = std::make_shared<Applicant>();
    applicant->since = now;
    applicant->turn = last_turn_ += 1;
    if (!is_ephemeral_name(application.user)) {
        if (Applicant* const other = rival(application)) {
            if (other->application.instance != application.instance) {
                refuse_busy(application, "Another process asked for it just before.");
                return;
            }
            withdraw(std::string(other->application.routing_id));
        }
        Session* const existing = sessions_.by_subscriber(application.user);
        switch (admit(existing, application.routing_id, application.instance)) {
            case Admittance::kWelcome:
                break;
            case Admittance::kReplace:
                sessions_.end(*existing, "replaced by its own process");
                break;
            case Admittance::kChallenge:
                applicant->free = false;
                break;
        }
    }
    applicant->application = std::move(application);
    waiting_[applicant->application.routing_id] = applicant;
}

Admission::Applicant* Admission::rival(const Application& application) {
    for (auto& [routing_id, applicant] : waiting_) {
        if (applicant->application.user == application.user) return applicant.get();
    }
    return nullptr;
}

void Admission::withdraw(const std::string& routing_id) { waiting_.erase(routing_id); }

bool Admission::is_current(const ApplicantPtr& applicant) const {
    const auto found = waiting_.find(applicant->application.routing_id);
    return found != waiting_.end() && found->second == applicant;
}

void Admission::check(Time now) {
    std::vector<ApplicantPtr> all;
    for (const auto& [routing_id, applicant] : waiting_) {
        if (!applicant->opening) all.push_back(applicant);
    }
    // Whoever says HELLO again goes to the end of the queue.
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->turn < b->turn; });
    for (const ApplicantPtr& applicant : all) {
        if (!applicant->free) challenge(*applicant, now);
        if (applicant->free && opening_ < kMostOpening) open(applicant);
    }
}

void Admission::challenge(Applicant& applicant, Time now) {
    Session* const existing = sessions_.by_subscriber(applicant.application.user);
    if (existing != nullptr && existing->heard > applicant.since) {
        const Application application = applicant.application;
        withdraw(application.routing_id);
        refuse_busy(application, "That session is alive.");
    } else if (existing == nullptr || now - applicant.since >= kChallenge) {
        if (existing != nullptr) sessions_.end(*existing, "did not answer when another one came");
        applicant.free = true;
    } else if (now - existing->pinged >= kPingPace) {
        // However many come for its place, it is not asked more often.
        ping(*existing);
    }
}

void Admission::open(const ApplicantPtr& applicant) {
    const Application& application = applicant->application;
    if (!stream_.serving || !worker_.up()) {
        withdraw(std::string(application.routing_id));
        refuse(application, refusal_of(DatabaseError{}));
        return;
    }
    applicant->opening = true;
    opening_ += 1;
    worker_.submit(
        open_subscriber_query(application.user, application.stream_id, application.position, application.obeys_rewinds),
        [this, applicant](Answer& answer) {
            opening_ -= 1;
            take_answer(applicant, answer);
        });
}

void Admission::take_answer(const ApplicantPtr& applicant, Answer& answer) {
    const Application& application = applicant->application;
    const bool ephemeral = is_ephemeral_name(application.user);
    // Gone meanwhile, or said HELLO again; or the relay serves no more, and would never say good-bye to it. What the
    // database made for it is not left behind.
    const bool is_gone = !is_current(applicant);
    if (!answer.error && ephemeral && (is_gone || !stream_.serving) && worker_.up())
        worker_.submit(close_subscriber_query(read_opened(answer.rows).name), nullptr);
    if (is_gone) return;
    waiting_.erase(application.routing_id);
    if (answer.error) {
        const Refusal refusal = refusal_of(*answer.error);
        if (refusal.code == wire::Error::kDatabaseDown && !answer.lost) {
            log_error("open_subscriber_failed", {{"subscriber", application.user},
                                                 {"sqlstate", answer.error->sqlstate},
                                                 {"message", answer.error->message},
                                                 {"detail", answer.error->detail},
                                                 {"hint", answer.error->hint}});
        }
        refuse(application, refusal);
        const auto code = static_cast<int>(refusal.code);
        if (on_refused && !ephemeral && code >= 200 && code < 300) on_refused(application.user, refusal);
        return;
    }
    if (!stream_.serving) {
        refuse(application, refusal_of(DatabaseError{}));
        return;
    }
    OpenedSubscriber opened = read_opened(answer.rows);
    // It goes on after what it acknowledged last, also where it comes back before that is written down.
    if (application.position.empty()) {
        opened.number = std::max(opened.number, unwritten(opened.name, opened.revision));
        std::erase_if(opened.skipped, [&opened](uint64_t number) { return number <= opened.number; });
    }
    welcome(application, opened);
}

// The number is the database's word; this is the position that the subscriber knows it by.
std::string Admission::start_position(const Application& application, const OpenedSubscriber& opened) const {
    for (const std::string* const known : {&application.position, &opened.rewound}) {
        wire::PositionParts parts;
        if (wire::parse_position(*known, parts) && parts.number == opened.number) return *known;
    }
    return stream_.position(opened.number);
}

void Admission::welcome(const Application& application, const OpenedSubscriber& opened) {
    const Time now = Clock::now();
    const bool ephemeral = is_ephemeral_name(application.user);
    Session& session = sessions_.add(application.routing_id, opened.name, ephemeral, application.window, now);
    session.instance = application.instance;
    session.number = opened.number;
    session.acked = opened.number;
    session.version = application.version;
    session.revision = opened.revision;
    session.shared = delivery_.selection_class(make_selection(opened.channels, opened.skipped));

    const std::string start = start_position(application, opened);
    std::string text;
    StringSink sink{text};
    Packer packer(sink);
    wire::Welcome body;
    body.version = session.version;
    body.stream_id = stream_.stream_id;
    body.epoch = stream_.epoch;
    body.nonce = stream_.nonce;
    body.subscriber = opened.name;
    body.start = start;
    const bool tells = session.version >= wire::kStreamingVersion;
    if (tells) body.rewound = opened.rewound;
    const Selection& selection = session.shared->selection;
    const auto write_channels = [&selection](Packer& out) {
        out.pack_array(static_cast<uint32_t>(selection.channels.size()));
        for (const std::string& channel : selection.channels) pack_str(out, channel);
    };
    const auto write_skipped = [&selection](Packer& out) {
        out.pack_array(static_cast<uint32_t>(selection.skipped.size()));
        for (const uint64_t number : selection.skipped) out.pack_uint64(number);
    };
    wire::write_welcome(packer, body, write_channels, tells ? selection.skipped.size() : 0, write_skipped);
    zmq::message_t message(text.data(), text.size());
    const wire::Frame frame{wire::Kind::kWelcome, session.id, session.number, stream_.head};
    log_info("session_opened", {{"subscriber", opened.name},
                                {"session", std::to_string(session.id)},
                                {"after", session.number},
                                {"head", stream_.head},
                                {"window", application.window},
                                {"software", application.software}});
    if (router_.send(application.routing_id, frame, message) != Sent::kQueued) {
        sessions_.end(session, "connection closed");
        return;
    }
    if (on_open) on_open(session);
    delivery_.attach(session);
}

void Admission::refuse(const Application& application, const Refusal& refusal) {
    router_.send_error(application.routing_id, 0, refusal);
    counters.hellos_refused += 1;
    log_warning("hello_refused", {{"subscriber", application.user},
                                  {"code", static_cast<int>(refusal.code)},
                                  {"message", refusal.message},
                                  {"detail", refusal.detail}});
}

void Admission::refuse_busy(const Application& application, const char* detail) {
    refuse(application, {wire::Error::kBusy, 0, "subscriber \"" + application.user + "\" has another session", detail,
                         "Stop the other process, or come back later."});
}

}  // namespace paysync::relay
