// Bytes that come in pieces and become one run, which may be as long as PostgreSQL's longest row: grown by realloc(),
// which moves large blocks by their page tables and so never needs both the old and the new one.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "wire/reader.hpp"

namespace paysync {

class GrowingBytes {
public:
    GrowingBytes() = default;
    ~GrowingBytes() { std::free(data_); }
    GrowingBytes(const GrowingBytes&) = delete;
    GrowingBytes& operator=(const GrowingBytes&) = delete;

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] wire::Bytes bytes() const { return wire::Bytes(data_, size_); }

    // Throws std::bad_alloc.
    void append(wire::Bytes more) {
        if (more.empty()) return;
        if (more.size() > room_ - size_) {
            const size_t wanted = size_ + more.size();
            const size_t room = (wanted + kStep - 1) / kStep * kStep;
            void* const grown = std::realloc(data_, room);
            if (grown == nullptr) throw std::bad_alloc();
            data_ = static_cast<char*>(grown);
            room_ = room;
        }
        std::memcpy(data_ + size_, more.data(), more.size());
        size_ += more.size();
    }

private:
    static constexpr size_t kStep = 1024 * 1024;

    char* data_ = nullptr;
    size_t size_ = 0;
    size_t room_ = 0;
};

}  // namespace paysync
