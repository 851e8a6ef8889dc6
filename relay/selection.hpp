// What a subscriber gets of the stream: its channels, without the numbers that an operator took out.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "wire/reader.hpp"

namespace paysync::relay {

// Channel names, sorted, without repeats.
using Channels = std::vector<std::string>;

[[nodiscard]] inline Channels make_channels(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

struct Selection {
    Channels channels;
    std::vector<uint64_t> skipped;  // sorted

    [[nodiscard]] bool takes(wire::Bytes channel) const {
        return std::binary_search(channels.begin(), channels.end(), channel, std::less<>());
    }
    [[nodiscard]] bool skips(uint64_t number) const {
        return !skipped.empty() && std::binary_search(skipped.begin(), skipped.end(), number);
    }
    friend auto operator<=>(const Selection&, const Selection&) = default;
};

[[nodiscard]] inline Selection make_selection(std::vector<std::string> names, std::vector<uint64_t> skipped = {}) {
    std::sort(skipped.begin(), skipped.end());
    return {make_channels(std::move(names)), std::move(skipped)};
}

}  // namespace paysync::relay
