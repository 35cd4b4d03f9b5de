// The arguments of auxiliary_loss as plain pointers, and what its kernels work on.
//
// N packed steps, S states of them that have an item ahead, H and D the widths of states and items, W that of the
// first hidden layer, as in auxiliary_loss/__init__.py.
#pragma once

#include <cstdint>

#include "mlp/problem.h"

namespace dien::auxiliary {

// logit of a click = tail(weight (h_t, e_t') + bias), of a non-click the same with the negative
struct Problem {
    int64_t count;           // S
    int64_t steps;           // N
    int64_t hidden;          // H
    int64_t item;            // D
    int64_t ahead;           // t' = t + ahead
    const int64_t* now;      // [S] t, rising
    const float* states;     // h [N, H]
    const float* items;      // e [N, D]
    int64_t items_stride;    // from one row to the next
    const float* negatives;  // [N, D]
    int64_t negatives_stride;
    const float* weight;  // [W, H + D]
    const float* bias;    // [W]
    mlp::Tail tail;
};

struct Gradients {
    float* dstates;     // [N, H]
    float* ditems;      // [N, D]
    float* dnegatives;  // [N, D]
    float* dweight;     // [W, H + D]
    float* dbias;       // [W]
    mlp::TailGradients tail;
};

struct Packed {
    const float* weight_state;    // [H + 1, z[0]], the transpose over the bias
    const float* weight_item;     // [D, z[0]]
    const float* backward_state;  // [W, whole(H)]
    const float* backward_item;   // [W, whole(D)]
    mlp::PackedTail tail;
};

// What an instruction set has. A tile is a few states; scratch is aligned to 64 bytes.
struct Kernels {
    int64_t (*scratch)(const Problem&, const mlp::PackedTail&, int64_t tile);

    // logits [2, S] of clicks and of non-clicks. Where `gradients` is not null, also the gradient of the sum of
    // -log σ(click) - log(1 - σ(non-click)): to part those of weight_state [H + 1, z[0]] and weight_item [D, z[0]]
    // are added, as packed, then the tail's.
    void (*run)(const Problem&, const Packed&, int64_t begin, int64_t end, float* logits, const Gradients* gradients,
                float* part, float* scratch);
};

}  // namespace dien::auxiliary
