// Shapes as the database described them, kept in memory: an id never changes its meaning.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "wire/reader.hpp"

namespace paysync::relay {

struct Shape {
    int64_t id = 0;
    std::string description;  // docs/wire.md §2
    std::string channel;
};
using ShapePtr = std::shared_ptr<const Shape>;

class ShapeCache {
public:
    // Keeps at most about `limit` bytes of shapes that no transaction in memory uses.
    explicit ShapeCache(size_t limit = 64 << 20) : limit_(limit) {}

    // Null where it is not here.
    [[nodiscard]] ShapePtr find(int64_t id) const;
    // False if the description is none.
    [[nodiscard]] bool add(int64_t id, wire::Bytes description);
    [[nodiscard]] size_t size() const { return shapes_.size(); }
    // Lets go of what no transaction uses, if there is more than the limit. Whoever still needs a shape holds it.
    void prune();

private:
    size_t limit_;
    size_t bytes_ = 0;
    std::unordered_map<int64_t, ShapePtr> shapes_;
};

}  // namespace paysync::relay
