// Metrics as text, in Prometheus' format 0.0.4: a family has a HELP and a TYPE line and its samples behind them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "vitals.hpp"

namespace paysync::relay {

class Exposition {
public:
    using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    // Begins a family; `type` is "gauge" or "counter".
    void family(std::string_view name, std::string_view type, std::string_view help);
    // A sample of the family begun last.
    void sample(Labels labels, double value);
    void sample(Labels labels, uint64_t value);
    // A family of one sample.
    template <typename Value>
    void single(std::string_view name, std::string_view type, std::string_view help, Value value) {
        family(name, type, help);
        sample({}, value);
    }

    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    void begin_sample(Labels labels);

    std::string text_;
    std::string name_;
};

// What the HTTP side itself counts.
struct HttpCounters {
    uint64_t requests = 0;
    uint64_t connections_cut = 0;
};

// All metrics of docs/relay.md as of `now`. What the database said grows older with every call until it is asked again:
// a lag never stands still.
[[nodiscard]] std::string metrics_text(const Report& report, const HttpCounters& http, Time now);

// A database that was not heard for so long is not known to be as it was.
inline constexpr seconds kStaleSample{6};

}  // namespace paysync::relay
