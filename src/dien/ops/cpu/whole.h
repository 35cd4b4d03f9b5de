// Sizes in whole parts.
#pragma once

#include <cstdint>

namespace dien {

// How many parts of a size it takes to hold n.
inline int64_t divided(int64_t n, int64_t size) { return (n + size - 1) / size; }

// n floats in whole vectors.
inline int64_t whole(int64_t n, int64_t lanes) { return divided(n, lanes) * lanes; }

}  // namespace dien
