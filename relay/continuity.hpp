// After the lease was taken again: is the history that subscribers were sent still the database's? A standby may have
// been promoted, a backup restored, another relay may have led in between.
#pragma once

#include <functional>
#include <string>

#include "calls.hpp"
#include "stream.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Continuity {
public:
    explicit Continuity(Worker& worker) : worker_(worker) {}

    // Asks the database about the last position that `before` could have sent, the way a subscriber's HELLO does: it
    // alone knows the ends of all epochs. `done(true)`: still the same. Where the database cannot answer now,
    // `failed()` is called instead. Of several questions only the last is answered.
    void ask(const Stream& before, std::function<void(bool)> done, std::function<void()> failed);
    void cancel() { question_ += 1; }

private:
    Worker& worker_;
    uint64_t question_ = 0;
};

}  // namespace paysync::relay
