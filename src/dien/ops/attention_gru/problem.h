// The arguments of attention_gru as plain pointers, and how the kernels lay out what they work on.
//
// B rows, N packed steps, P pairs of (row, step), H hidden units, D inputs, as in attention_gru/__init__.py.
#pragma once

#include <cstdint>

#include "cpu/row.h"
#include "cpu/whole.h"

namespace dien::gru {

enum class Kind : int32_t { gru, agru, augru, augru_complement };

struct Problem {
    Kind kind;
    int32_t projects;        // whether the input projection of a step is made here, from x, or given
    int64_t rows;            // B
    int64_t steps;           // N
    int64_t pairs;           // P
    int64_t hidden;          // H
    int64_t inputs;          // D
    const int64_t* starts;   // [B]
    const int64_t* lengths;  // [B]
    const float* x;          // inputs [N, D], or where it does not project their projections [N, 3H]
    int64_t x_stride;        // from one row to the next
    const float* weight_ih;  // [3H, D], or null
    const float* bias_ih;    // [3H], or null for zeros
    const float* weight_hh;  // [3H, H]
    const float* bias_hh;    // [3H], or null for zeros
    const float* scores;     // [P], null for Kind::gru
    const float* state;      // [B, H], or null for zeros
};

// Floats from one row to the next of what the kernels work on, in whole vectors.
//
// An operand is a state [H], a 1 that multiplies the bias and, to project them, the inputs [D] of a step. Its product
// with the weights, the sums, are U h + c for n, then W x + U h + b + c for r and u, then W x + b for n: the
// candidate's two halves stand apart, as the reset gate comes between them. With projections given there is no W x, and
// no fourth quarter.
struct Layout {
    int64_t lanes, hidden, inputs;
    bool projects;
    int64_t operand;    // of operands
    int64_t sums;       // of sums and of their gradients
    int64_t state;      // of gradients of states [H]
    int64_t x;          // of gradients of inputs [D]
    int64_t recurrent;  // sums that depend on the state: the first 3H
    int64_t skipped;    // whole vectors that do not depend on x: of the first H

    Layout(const Problem& problem, int64_t lanes)
        : lanes(lanes),
          hidden(problem.hidden),
          inputs(problem.projects ? problem.inputs : 0),
          projects(problem.projects),
          operand(whole(hidden + 1 + inputs, lanes)),
          sums(whole((projects ? 4 : 3) * hidden, lanes)),
          state(whole(hidden, lanes)),
          x(whole(inputs, lanes)),
          recurrent(whole(3 * hidden, lanes)),
          skipped(hidden / lanes * lanes) {}

    int64_t depth() const { return hidden + 1 + inputs; }

    // A part's gradients of the weights: [H + 1, recurrent] of the state and the 1, then to project
    // [1 + D, sums - skipped] of the 1 and the inputs.
    int64_t part() const { return (hidden + 1) * recurrent + (projects ? (1 + inputs) * (sums - skipped) : 0); }
};

// The weights as the products read them, padded with zeros to whole vectors.
struct Weights {
    const float* forward;         // [Layout::depth(), Layout::sums]
    const float* backward_state;  // [3H, Layout::state], in the order of sums: n, r, u
    const float* backward_x;      // [3H, Layout::x], r, u, n
};

// What forward writes.
struct Results {
    float* last;         // [B, H]
    float* states;       // [P, H], or null
    float* activations;  // [P, 4H] for backward, or null: U_n h + c, r, u and n
};

// What backward reads besides the problem (of which it reads no projections), and writes.
struct Gradients {
    const float* dlast;        // [B, H], or null for zeros
    const float* dstates;      // [P, H], or null for zeros
    const float* states;       // [P, H] kept by forward
    const float* activations;  // [P, 4H] kept by forward
    float* dx;                 // [N, D] or [N, 3H], as x
    float* dweight_ih;         // [3H, D], or null
    float* dweight_hh;         // [3H, H]
    float* dbias_ih;           // [3H], or null
    float* dbias_hh;           // [3H], or null
    float* dscores;            // [P], or null
    float* dstate;             // [B, H], or null
};

// What an instruction set has. A tile is a few rows, longest first, that run in step; scratch is aligned to 64 bytes.
struct Kernels {
    // Floats of scratch for a tile of that many rows.
    int64_t (*forward_scratch)(const Layout&, int64_t rows);
    int64_t (*backward_scratch)(const Layout&, int64_t rows);

    void (*forward)(const Problem&, const Weights&, const Row* rows, int64_t count, const Results&, float* scratch);

    // The gradient of the weights is added to part [Layout::part()].
    void (*backward)(const Problem&, const Weights&, const Row* rows, int64_t count, const Gradients&, float* part,
                     float* scratch);
};

}  // namespace dien::gru
