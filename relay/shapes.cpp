// Adds shapes, and lets unused ones go where they would fill the memory.
#include "shapes.hpp"

#include "wire/shape.hpp"

namespace paysync::relay {

namespace {

constexpr size_t kOverhead = 200;

}  // namespace

ShapePtr ShapeCache::find(int64_t id) const {
    const auto found = shapes_.find(id);
    return found == shapes_.end() ? nullptr : found->second;
}

bool ShapeCache::add(int64_t id, wire::Bytes description) {
    wire::Reader reader(description);
    wire::ShapeHead head;
    if (!wire::read_shape_head(reader, head)) return false;
    if (shapes_.contains(id)) return true;
    bytes_ += description.size() + kOverhead;
    shapes_[id] = std::make_shared<const Shape>(Shape{id, std::string(description), std::string(head.channel)});
    return true;
}

void ShapeCache::prune() {
    if (bytes_ <= limit_) return;
    std::erase_if(shapes_, [this](const auto& entry) {
        if (entry.second.use_count() > 1) return false;
        bytes_ -= entry.second->description.size() + kOverhead;
        return true;
    });
}

}  // namespace paysync::relay
