// Accepts by itself and hands connections to libmicrohttpd, which alone would stop accepting where it has enough and
// let who sends a byte now and then stay for ever.
#include "http_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "failure.hpp"
#include "http_address.hpp"
#include "pages.hpp"

namespace paysync::relay {

namespace {

constexpr int kBacklog = 128;
// Of a request's line and headers.
constexpr size_t kConnectionMemory = 16 * 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr milliseconds kNoDescriptorsPause{200};
constexpr int kNice = 10;

int listen_at(const std::string& text) {
    const HttpAddress address = parse_http_address(text);
    const int listener = socket(address.socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int yes = 1;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(listener, reinterpret_cast<const sockaddr*>(&address.socket), address.length) != 0 ||
        listen(listener, kBacklog) != 0) {
        const std::string reason = std::strerror(errno);
        if (listener >= 0) close(listener);
        throw Failure(kExitFailed, "cannot serve HTTP at \"" + text + "\": " + reason, {},
                      "Choose an address that nobody else listens on with --http, or --http \"\" for none.");
    }
    return listener;
}

std::string name_of(int listener) {
    HttpAddress bound;
    bound.length = sizeof bound.socket;
    getsockname(listener, reinterpret_cast<sockaddr*>(&bound.socket), &bound.length);
    return format_http_address(bound);
}

}  // namespace

HttpServer::Descriptor::~Descriptor() {
    if (number_ >= 0) close(number_);
}

HttpServer::HttpServer(const std::string& address, const Vitals& vitals)
    : vitals_(vitals),
      listener_(listen_at(address)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      address_(name_of(listener_)) {
    daemon_.reset(MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, nullptr, nullptr, on_request, this,
                                   MHD_OPTION_NOTIFY_CONNECTION, on_connection, static_cast<void*>(this),
                                   // Twice as many: those that were cut and are not gone yet.
                                   MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(2 * kMostConnections),
                                   MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, MHD_OPTION_END));
    const MHD_DaemonInfo* const info = daemon_ ? MHD_get_daemon_info(daemon_.get(), MHD_DAEMON_INFO_EPOLL_FD) : nullptr;
    if (wake_ < 0 || info == nullptr || info->epoll_fd < 0) {
        throw Failure(kExitFailed, "cannot start serving HTTP: " + std::string(std::strerror(errno)));
    }
    epoll_ = info->epoll_fd;
    thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
    stopping_ = true;
    const uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
    thread_.join();
}

void HttpServer::serve() {
    // On a machine that is busy the loop goes first. (Linux: who 0 is this thread alone.)
    (void)setpriority(PRIO_PROCESS, 0, kNice);
    while (!stopping_) {
        const bool accepting = Clock::now() >= accept_again_;
        pollfd items[] = {{wake_, POLLIN, 0}, {epoll_, POLLIN, 0}, {accepting ? int{listener_} : -1, POLLIN, 0}};
        (void)poll(items, std::size(items), patience());
        if ((items[2].revents & POLLIN) != 0) accept_all();
        MHD_run(daemon_.get());
        cut_late();
    }
}

int HttpServer::patience() const {
    MHD_UNSIGNED_LONG_LONG wanted = 0;
    int patience = -1;
    if (MHD_get_timeout(daemon_.get(), &wanted) == MHD_YES)
        patience = static_cast<int>(std::min<uint64_t>(wanted, 1000));
    // For those that have to be cut, or a pause that ends.
    if (!peers_.empty() || Clock::now() < accept_again_) patience = patience < 0 ? 100 : std::min(patience, 100);
    return patience;
}

void HttpServer::accept_all() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        HttpAddress from;
        from.length = sizeof from.socket;
        auto* const name = reinterpret_cast<sockaddr*>(&from.socket);
        const int accepted = accept4(listener_, name, &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            // Without a free descriptor the listener stays readable: waiting for it would be spinning.
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                accept_again_ = Clock::now() + kNoDescriptorsPause;
            }
            return;
        }
        if (peers_.size() >= kMostConnections) {
            cut(peers_.front());
            MHD_run(daemon_.get());
        }
        // It closes the socket itself where it does not take it.
        (void)MHD_add_connection(daemon_.get(), accepted, name, from.length);
        MHD_run(daemon_.get());
    }
}

void HttpServer::on_connection(void* self, MHD_Connection* connection, void** state,
                               MHD_ConnectionNotificationCode what) {
    auto& peers = static_cast<HttpServer*>(self)->peers_;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const MHD_ConnectionInfo* const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        peers.push_back(Peer{info->connect_fd, Clock::now()});
        *state = &peers.back();
    } else if (*state != nullptr) {
        peers.remove_if([state](const Peer& peer) { return &peer == *state; });
        *state = nullptr;
    }
}

// There is no call that ends a connection of libmicrohttpd's; it sees that the socket is shut and lets go of it.
void HttpServer::cut(Peer& peer) {
    if (peer.cut) return;
    peer.cut = true;
    counted_.connections_cut += 1;
    shutdown(peer.socket, SHUT_RDWR);
}

void HttpServer::cut_late() {
    const Time now = Clock::now();
    for (Peer& peer : peers_) {
        if (now - peer.since < kConnectionLife) return;
        cut(peer);
    }
}

MHD_Result HttpServer::on_request(void* self, MHD_Connection* connection, const char* url, const char* method,
                                  const char* /*version*/, const char* /*body*/, size_t* /*body_bytes*/,
                                  void** /*state*/) {
    // No exception may leave for C.
    try {
        return static_cast<HttpServer*>(self)->answer(connection, url, method);
    } catch (...) {
        return MHD_NO;
    }
}

// At the first call, before any body is read: the connection then ends with the answer, which is right for all.
MHD_Result HttpServer::answer(MHD_Connection* connection, std::string_view path, std::string_view method) {
    counted_.requests += 1;
    const bool known = method == "GET" || method == "HEAD";
    Page page{405, "text/plain; charset=utf-8", "GET and HEAD only\n"};
    if (known) page = page_at(path, vitals_, counted_, Clock::now());
    const std::unique_ptr<MHD_Response, decltype(&MHD_destroy_response)> response(
        MHD_create_response_from_buffer(page.body.size(), page.body.data(), MHD_RESPMEM_MUST_COPY),
        MHD_destroy_response);
    if (!response) return MHD_NO;
    MHD_add_response_header(response.get(), "Content-Type", page.type);
    MHD_add_response_header(response.get(), "Cache-Control", "no-store");
    MHD_add_response_header(response.get(), "Connection", "close");
    if (!known) MHD_add_response_header(response.get(), "Allow", "GET, HEAD");
    return MHD_queue_response(connection, page.status, response.get());
}

}  // namespace paysync::relay
