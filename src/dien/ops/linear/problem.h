// The arguments of linear as plain pointers, and what its kernels work on.
//
// N rows, K inputs, M outputs, as in linear/__init__.py.
#pragma once

#include <cstdint>

namespace dien::linear {

struct Problem {
    int64_t rows;     // N
    int64_t inputs;   // K
    int64_t outputs;  // M
    const float* x;   // [N, K], rows x_stride apart
    int64_t x_stride;
    const float* weight;  // [M, K]
    const float* bias;    // [M], or null
};

// What backward reads besides the problem, and writes; null where a gradient is not wanted.
struct Gradients {
    const float* dy;  // [N, M], rows dy_stride apart
    int64_t dy_stride;
    float* dx;       // [N, K]
    float* dweight;  // [M, K]
    float* dbias;    // [M]
};

// What an instruction set has, for the rows from begin to end.
struct Kernels {
    // y [N, M]; packed [K, M in whole vectors], the transposed weights
    void (*forward)(const Problem&, const float* packed, int64_t begin, int64_t end, float* y);

    // packed [M, K in whole vectors], the weights. To part [K + 1, M in whole vectors] is added: transposed gradient
    // of the weights over that of the bias.
    void (*backward)(const Problem&, const float* packed, const Gradients&, int64_t begin, int64_t end, float* part);
};

}  // namespace dien::linear
