// The kernels of every operator for one set of instructions.
#pragma once

#include <cstdint>

#include "gru/problem.h"
#include "linear/problem.h"
#include "mlp/problem.h"
#include "rows/problem.h"

namespace dien {

struct Path {
    int64_t lanes;
    gru::Kernels gru;
    linear::Kernels linear;
    mlp::Kernels mlp;
    rows::Kernels rows;
};

extern const Path path_plain, path_avx2, path_avx512;

// As PATHS of library.py counts them: from the plainest.
inline constexpr const Path* paths[] = {
    &path_plain,
#if defined(__x86_64__)
    &path_avx2,
    &path_avx512,
#endif
};

}  // namespace dien
