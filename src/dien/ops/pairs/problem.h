// The arguments of the operators on pairs as plain pointers, and what their kernels work on.
//
// B rows, N packed steps, P pairs of (row, step), H the width of steps and rows, as in pairs/__init__.py.
#pragma once

#include <cstdint>

#include "cpu/row.h"

namespace dien::pairs {

// sum over pairs of scores[p] (keys[step(p)] . vectors[row(p)]): each operator is given two of the three and finds
// the derivative by the third, which is null.
struct Problem {
    int64_t rows;            // B
    int64_t steps;           // N
    int64_t pairs;           // P
    int64_t width;           // H
    const int64_t* starts;   // [B]
    const int64_t* lengths;  // [B]
    const float* keys;       // [N, H]
    const float* vectors;    // [B, H]
    const float* scores;     // [P]
};

// What an instruction set has, for some rows.
struct Kernels {
    // found [P]
    void (*products)(const Problem&, const Row* begin, const Row* end, float* found);

    // found [B, H]
    void (*sums)(const Problem&, const Row* begin, const Row* end, float* found);

    // found [N, H]; a row overwrites its steps there, or adds to them where it `adds`
    void (*scatter)(const Problem&, const Row* begin, const Row* end, float* found);
};

}  // namespace dien::pairs
