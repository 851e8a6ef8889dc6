// Serves the pages on a thread of its own with libmicrohttpd. Whatever peers do here costs the loop nothing: the thread
// reads what the loop published, gives way to it, and holds few connections, none of them for long.
#pragma once

#include <microhttpd.h>

#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "exposition.hpp"
#include "vitals.hpp"

namespace paysync::relay {

class HttpServer {
public:
    // A connection carries one request and has so long for it, however busy it seems.
    static constexpr seconds kConnectionLife{5};
    // Where one more comes, the oldest goes: peers that only connect cannot keep out one that asks.
    static constexpr size_t kMostConnections = 32;

    // Listens at `address` (http_address.hpp) at once. Throws Failure where that is not possible. `vitals` must live
    // on.
    HttpServer(const std::string& address, const Vitals& vitals);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // The address as bound, with its real port.
    [[nodiscard]] const std::string& address() const { return address_; }

private:
    struct Peer {
        int socket;
        Time since;
        bool cut = false;
    };
    class Descriptor {
    public:
        explicit Descriptor(int number) : number_(number) {}
        ~Descriptor();
        Descriptor(const Descriptor&) = delete;
        Descriptor& operator=(const Descriptor&) = delete;
        operator int() const { return number_; }

    private:
        int number_;
    };

    static MHD_Result on_request(void* self, MHD_Connection* connection, const char* url, const char* method,
                                 const char* version, const char* body, size_t* body_bytes, void** state);
    static void on_connection(void* self, MHD_Connection* connection, void** state,
                              MHD_ConnectionNotificationCode what);

    void serve();
    [[nodiscard]] int patience() const;
    void accept_all();
    void cut(Peer& peer);
    void cut_late();
    [[nodiscard]] MHD_Result answer(MHD_Connection* connection, std::string_view path, std::string_view method);

    const Vitals& vitals_;
    Descriptor listener_;
    Descriptor wake_;
    std::string address_;
    std::list<Peer> peers_;  // the oldest first; before the daemon, which says farewell to each at its end
    std::unique_ptr<MHD_Daemon, decltype(&MHD_stop_daemon)> daemon_{nullptr, MHD_stop_daemon};
    int epoll_ = -1;  // the daemon's
    Time accept_again_{};
    HttpCounters counted_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace paysync::relay
