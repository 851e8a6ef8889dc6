// Loaded before libc into any program (LD_PRELOAD), this notes when calls that wait, wake and write begin and end. So
// a benchmark sees where time goes without a word in the product.
//
// Each process writes CALLS_FOLDER/PID, which is mapped: records of 32 bytes, in the order in which calls ended, all
// of them native integers: begin and end in nanoseconds of the monotonic clock, thread id, call (the order below),
// descriptor or process the call is about, result. A record that is not written yet has an end of 0.
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

enum Call : int16_t { kPoll, kEpollWait, kRecv, kSend, kRead, kWrite, kPwrite, kFdatasync, kKill, kCondWait };

struct Record {
    int64_t begin;
    int64_t end;
    int32_t thread;
    int16_t call;
    int16_t about;
    int64_t result;
};
static_assert(sizeof(Record) == 32);

constexpr size_t kRecords = size_t{1} << 20;

std::atomic<Record*> records{nullptr};
std::atomic<size_t> taken{0};
std::atomic<bool> opening{false};
thread_local int32_t thread_id = 0;

int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void forget() {
    records = nullptr;
    taken = 0;
    opening = false;
    thread_id = 0;
}

// Null where there is no folder to write to, or while another thread opens it.
Record* opened() {
    if (Record* const known = records.load(std::memory_order_acquire)) return known;
    if (opening.exchange(true)) return nullptr;
    static const bool watched = pthread_atfork(nullptr, nullptr, forget) == 0;
    const char* const folder = std::getenv("CALLS_FOLDER");
    if (!watched || folder == nullptr) return nullptr;
    char path[4096];
    std::snprintf(path, sizeof path, "%s/%d", folder, static_cast<int>(getpid()));
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return nullptr;
    void* mapped = MAP_FAILED;
    if (ftruncate(file, kRecords * sizeof(Record)) == 0)
        mapped = mmap(nullptr, kRecords * sizeof(Record), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return nullptr;
    records.store(static_cast<Record*>(mapped), std::memory_order_release);
    return static_cast<Record*>(mapped);
}

void note(Call call, int64_t begin, int64_t about, int64_t result) {
    const int error = errno;
    if (Record* const all = opened()) {
        if (thread_id == 0) thread_id = static_cast<int32_t>(syscall(SYS_gettid));
        const size_t at = taken.fetch_add(1, std::memory_order_relaxed);
        if (at < kRecords)
            all[at] =
                Record{begin, now(), thread_id, call, static_cast<int16_t>(std::min<int64_t>(about, 32767)), result};
    }
    errno = error;
}

template <typename Function>
Function* original(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

template <typename Function, typename... Arguments>
auto noted(Call call, int64_t about, Function* function, Arguments... arguments) {
    const int64_t begin = now();
    const auto result = function(arguments...);
    note(call, begin, about, static_cast<int64_t>(result));
    return result;
}

}  // namespace

extern "C" {

int poll(pollfd* items, nfds_t count, int timeout) {
    static auto* const next = original<decltype(poll)>("poll");
    return noted(kPoll, timeout, next, items, count, timeout);
}

int epoll_wait(int descriptor, epoll_event* events, int most, int timeout) {
    static auto* const next = original<decltype(epoll_wait)>("epoll_wait");
    return noted(kEpollWait, timeout, next, descriptor, events, most, timeout);
}

ssize_t recv(int descriptor, void* bytes, size_t length, int flags) {
    static auto* const next = original<decltype(recv)>("recv");
    return noted(kRecv, descriptor, next, descriptor, bytes, length, flags);
}

ssize_t send(int descriptor, const void* bytes, size_t length, int flags) {
    static auto* const next = original<decltype(send)>("send");
    return noted(kSend, descriptor, next, descriptor, bytes, length, flags);
}

ssize_t read(int descriptor, void* bytes, size_t length) {
    static auto* const next = original<decltype(read)>("read");
    return noted(kRead, descriptor, next, descriptor, bytes, length);
}

ssize_t write(int descriptor, const void* bytes, size_t length) {
    static auto* const next = original<decltype(write)>("write");
    return noted(kWrite, descriptor, next, descriptor, bytes, length);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t length, off_t offset) {
    static auto* const next = original<decltype(pwrite)>("pwrite");
    return noted(kPwrite, descriptor, next, descriptor, bytes, length, offset);
}

int fdatasync(int descriptor) {
    static auto* const next = original<decltype(fdatasync)>("fdatasync");
    return noted(kFdatasync, descriptor, next, descriptor);
}

int kill(pid_t process, int number) noexcept {
    static auto* const next = original<decltype(kill)>("kill");
    return noted(kKill, number, next, process, number);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
    static auto* const next = original<decltype(pthread_cond_clockwait)>("pthread_cond_clockwait");
    return noted(kCondWait, 0, next, condition, mutex, clock, until);
}
}
