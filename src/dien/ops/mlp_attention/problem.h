// The arguments of mlp_attention as plain pointers, and what its kernels work on.
//
// B rows, N packed steps, P pairs of (row, step), H the width of states and targets, W that of the first hidden
// layer, as in mlp_attention/__init__.py.
#pragma once

#include <cstdint>

#include "cpu/row.h"
#include "mlp/problem.h"

namespace dien::attention {

// logit of (b, t) = tail(bias_b + (weight_state + weight_product diag(q_b)) h_t)
struct Problem {
    int64_t rows;                 // B
    int64_t steps;                // N
    int64_t pairs;                // P
    int64_t hidden;               // H
    const int64_t* starts;        // [B]
    const int64_t* lengths;       // [B]
    const float* states;          // h [N, H]
    const float* targets;         // q [B, H]
    const float* bias;            // [B, W]
    const float* weight_state;    // [W, H]
    const float* weight_product;  // [W, H]
    mlp::Tail tail;
};

struct Gradients {
    const float* dlogits;  // [P]
    float* dstates;
    float* dtargets;
    float* dbias;
    float* dweight_state;
    float* dweight_product;
    mlp::TailGradients tail;
};

struct Packed {
    const float* weight_state;      // [H, z[0]], the transpose
    const float* weight_product;    // [H, z[0]]
    const float* backward_state;    // [W, whole(H)]
    const float* backward_product;  // [W, whole(H)]
    mlp::PackedTail tail;
};

// Consecutive steps of a row, as many as fit a tile.
struct Piece {
    int64_t row, step, pair, count;
    bool adds;  // its gradient of states adds to what an earlier row wrote
};

// What an instruction set has. A tile is a few pairs; scratch is aligned to 64 bytes.
struct Kernels {
    int64_t (*scratch)(const Problem&, const mlp::PackedTail&, int64_t tile);
    int64_t (*row_scratch)(const Problem&, const mlp::PackedTail&);

    void (*forward)(const Problem&, const Packed&, const Piece*, int64_t pieces, float* logits, float* scratch);

    // The same of a whole row, its steps side by side in the lanes: no lane idles in a narrow layer, and no sum
    // crosses lanes. `states` [H + 1, stride] is the transpose over a row of ones; a vector beyond the steps is read.
    void (*forward_row)(const Problem&, const Packed&, const float* states, int64_t stride, const Row&, float* logits,
                        float* scratch);

    // To part the gradients of weight_state and weight_product [H, z[0]] are added, as packed, then the tail's.
    void (*backward)(const Problem&, const Packed&, const Piece*, int64_t pieces, const Gradients&, float* part,
                     float* scratch);
};

}  // namespace dien::attention
