// The arguments of the softmax over rows as plain pointers, and its kernels.
//
// B rows, P steps, row after row, as in segment/__init__.py.
#pragma once

#include <cstdint>

namespace dien::segment {

struct Problem {
    int64_t rows;            // B
    int64_t steps;           // P
    const int64_t* lengths;  // [B]
    const float* values;     // [P], logits; of backward the scores
};

// What an instruction set has, for one row.
struct Kernels {
    void (*softmax)(int64_t length, const float* logits, float* scores);

    void (*backward)(int64_t length, const float* scores, const float* dscores, float* dlogits);
};

}  // namespace dien::segment
