// Reads /proc/self.
#include "process_facts.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>

namespace paysync::relay {

namespace {

uint64_t count_descriptors() {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
    uint64_t count = 0;
    while (folder && readdir(folder.get()) != nullptr) count += 1;
    // ".", ".." and the descriptor that the folder is read by.
    return count > 3 ? count - 3 : 0;
}

// Moment and age are read once: a wall clock that is set later must not move the process' start.
double start_time(double ticks_a_second, double started_ticks) {
    double uptime = 0;
    std::ifstream("/proc/uptime") >> uptime;
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    return now - uptime + started_ticks / ticks_a_second;
}

}  // namespace

ProcessFacts read_process_facts() {
    ProcessFacts facts;
    const auto ticks_a_second = static_cast<double>(sysconf(_SC_CLK_TCK));
    std::ifstream file("/proc/self/stat");
    std::string text;
    std::getline(file, text);
    // The name in the second field may hold blanks and brackets; fields are counted from behind it.
    const size_t name_end = text.rfind(')');
    if (name_end != std::string::npos) {
        double fields[22] = {};
        const char* at = text.c_str() + name_end + 3;  // behind the state
        for (double& field : fields) {
            char* end = nullptr;
            field = std::strtod(at, &end);
            at = end;
        }
        // proc(5): utime is field 14, stime 15, starttime 22, vsize 23, rss 24; the first one here is field 4.
        facts.cpu_seconds = (fields[10] + fields[11]) / ticks_a_second;
        static const double started = start_time(ticks_a_second, fields[18]);
        facts.started = started;
        facts.virtual_bytes = static_cast<uint64_t>(fields[19]);
        facts.resident_bytes = static_cast<uint64_t>(fields[20]) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    }
    facts.open_descriptors = count_descriptors();
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.most_descriptors = limit.rlim_cur;
    return facts;
}

}  // namespace paysync::relay
