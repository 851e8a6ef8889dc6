// The thread of a subscription: connects, keeps the conversation going, connects again.
#pragma once

#include <mutex>
#include <random>
#include <thread>

#include "connection.hpp"
#include "conversation.hpp"

namespace paysync {

class Worker {
public:
    // Starts the thread. `options`, `inbox` and `waker` outlive it.
    Worker(const Options& options, Inbox& inbox, const Waker& waker);
    // As join().
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    // Waits for the thread's end: Inbox::stop() comes before. Any thread may call it.
    void join();

private:
    void run();
    [[nodiscard]] Step serve(const std::string& relay);
    [[nodiscard]] Step turn(bool& drained);
    [[nodiscard]] Step receive_all(bool& drained);
    void connect(const std::string& relay);
    void farewell();
    void leave() noexcept;
    void pause(std::chrono::milliseconds duration);
    [[nodiscard]] std::chrono::milliseconds backoff();

    const Options& options_;
    Inbox& inbox_;
    const Waker& waker_;
    std::shared_ptr<zmq::context_t> context_;
    std::mt19937_64 random_;
    std::chrono::milliseconds next_backoff_;
    std::unique_ptr<Connection> connection_;
    Conversation conversation_;
    std::mutex joining_;
    std::thread thread_;  // last: it uses all the others
};

}  // namespace paysync
