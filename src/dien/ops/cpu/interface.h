// What the C interfaces of the operators have in common.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>

#include "cpu/whole.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace dien {

// What a call came to, as library.py reads it.
enum Status : int32_t { done, mismatch, out_of_memory, failed };

// Runs f, which returns a Status; no exception passes the C interface.
template <class F>
Status guarded(F f) {
    try {
        return f();
    } catch (const std::bad_alloc&) {
        return out_of_memory;
    } catch (const std::length_error&) {  // of a vector that no memory could hold
        return out_of_memory;
    } catch (...) {
        return failed;
    }
}

// Floats aligned to 64 bytes, of any value.
class Buffer {
  public:
    explicit Buffer(int64_t floats) : data_(allocated(floats)) {
        if (!data_) throw std::bad_alloc();
    }
    float* get() const { return data_.get(); }

  private:
    static float* allocated(int64_t floats) {
        if (floats < 0 || floats > INT64_MAX / 16) return nullptr;
        return static_cast<float*>(std::aligned_alloc(64, (std::max<int64_t>(floats, 1) * sizeof(float) + 63) / 64 * 64));
    }
    struct Free {
        void operator()(float* p) const { std::free(p); }
    };
    std::unique_ptr<float, Free> data_;
};

inline Buffer zeroed(int64_t floats) {
    Buffer buffer(floats);
    std::fill(buffer.get(), buffer.get() + floats, 0.0f);
    return buffer;
}

// to [columns, rows] = from [rows, columns]
inline void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to, int64_t to_row) {
    constexpr int64_t strip = 16;  // rows whose lines stay in the nearest cache
    for (int64_t begin = 0; begin < rows; begin += strip)
        for (int64_t j = 0; j < columns; ++j)
            for (int64_t i = begin; i < std::min(begin + strip, rows); ++i) to[j * to_row + i] = from[i * from_row + j];
}

}  // namespace dien
