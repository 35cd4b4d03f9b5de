// What forward and backward have in common: the products of a step and the activations they feed.
#pragma once

#include <cstring>

#include "cpu/activations.h"
#include "cpu/product.h"
#include "attention_gru/update.h"

namespace dien::ISA::gru {

using namespace dien::gru;

// x of step t of a row.
INLINE const float* x_of(const Problem& problem, const Row& row, int64_t t) {
    return problem.x + (row.start + t) * problem.x_stride;
}

// Puts the inputs of step t into the operands.
INLINE void put_inputs(const Problem& problem, const Layout& layout, const Row* rows, int64_t live, int64_t t,
                       float* operands) {
    for (int64_t i = 0; i < live; ++i) {
        const float* x = x_of(problem, rows[i], t);
        float* to = operands + i * layout.operand + layout.hidden + 1;
        each_vector(layout.inputs,
                    [&](int64_t k, auto lanes) INLINE_LAMBDA { store(to + k, load(x + k, lanes), lanes); });
    }
}

// sums = operands weights, without what is known to be zero: the state has no part in the last H sums, the inputs
// none in the first.
template <bool projects>
INLINE void gate_sums(const Layout& layout, int64_t live, const float* operands, const float* weights, float* sums) {
    const int64_t H = layout.hidden, row = layout.sums;
    const auto columns = [&](int64_t begin, int64_t end, int64_t from, int64_t to) INLINE_LAMBDA {
        product(live, end - begin, to - from, {operands + from, layout.operand, 1}, weights + from * row + begin, row,
                sums + begin, row, false);
    };
    if constexpr (projects) {
        columns(0, layout.skipped, 0, H + 1);
        columns(layout.skipped, layout.recurrent, 0, layout.depth());
        columns(layout.recurrent, layout.sums, H, layout.depth());
    } else {
        columns(0, layout.sums, 0, H + 1);
    }
}

// Turns sums into r and u where they stand.
template <bool projects>
INLINE void activate_gates(const Problem& problem, const Row& row, int64_t t, float* sums) {
    const int64_t H = problem.hidden;
    const float* projections = projects ? nullptr : x_of(problem, row, t);
    each_vector(2 * H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
        Vec z = load(sums + H + unit, lanes);
        if constexpr (!projects) z = load(projections + unit, lanes) + z;
        store(sums + H + unit, sigmoid(z), lanes);
    });
}

}  // namespace dien::ISA::gru
