// Numbers of floats in whole vectors.
#pragma once

#include <cstdint>

namespace dien {

inline int64_t whole(int64_t n, int64_t lanes) { return (n + lanes - 1) / lanes * lanes; }

}  // namespace dien
