// The recurrence of one tile: a product for all its rows, then the gates of each row.
#pragma once

#include "step.h"

namespace dien::PATH::gru {

int64_t forward_scratch(const Layout& layout, int64_t rows) { return rows * (layout.operand + layout.sums); }

template <Kind kind, bool projects>
void forward(const Problem& problem, const Weights& weights, const Row* rows, int64_t count, const Results& results,
             float* scratch) {
    const int64_t H = problem.hidden;
    const Layout layout(problem, LANES);
    float* const operands = scratch;                       // [count, H + 1 + D]
    float* const sums = operands + count * layout.operand;  // [count, 3H or 4H]

    for (int64_t i = 0; i < count; ++i) {
        float* h = operands + i * layout.operand;
        std::memset(h, 0, layout.operand * sizeof(float));
        if (problem.state) std::memcpy(h, problem.state + rows[i].index * H, H * sizeof(float));
        h[H] = 1.0f;
    }
    int64_t live = count;  // rows that have step t
    for (int64_t t = 0;; ++t) {
        while (live > 0 && rows[live - 1].length <= t) --live;
        if (live == 0) break;
        if constexpr (projects) put_inputs(problem, layout, rows, live, t, operands);
        gate_sums<projects>(layout, live, operands, weights.forward, sums);
        for (int64_t i = 0; i < live; ++i) {
            if constexpr (projects)
                prefetch(inputs_of(problem, rows[i], t + 1), problem.inputs);
            else
                prefetch(gates_of(problem, rows[i], t + 1), 3 * H);
            if (results.states) prefetch(results.states + (rows[i].pair + t + 1) * H, H);
            if (results.opened) prefetch(results.opened + (rows[i].pair + t + 1) * 4 * H, 4 * H);
            open_gates<projects>(problem, rows[i], t, sums + i * layout.sums);
        }
        for (int64_t i = 0; i < live; ++i) {
            const int64_t pair = rows[i].pair + t;
            const float* sum = sums + i * layout.sums;
            const float* of_input = projects ? sum + 3 * H : gates_of(problem, rows[i], t) + 2 * H;
            float* h = operands + i * layout.operand;
            float* const state = results.states ? results.states + pair * H : nullptr;
            float* const opened = results.opened ? results.opened + pair * 4 * H : nullptr;
            const Vec a = kind == Kind::gru ? Vec{} : broadcast(problem.scores[pair]);
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                const Vec r = load(sum + H + unit, lanes), u = load(sum + 2 * H + unit, lanes);
                const Vec rec_n = load(sum + unit, lanes);
                const Vec n = tanh(load(of_input + unit, lanes) + r * rec_n);
                const Vec before = load(h + unit, lanes);
                const Vec after = before + new_share<kind>(u, a) * (n - before);
                store(h + unit, after, lanes);
                if (state) store(state + unit, after, lanes);
                if (opened) {
                    store(opened + unit, rec_n, lanes);
                    store(opened + H + unit, r, lanes);
                    store(opened + 2 * H + unit, u, lanes);
                    store(opened + 3 * H + unit, n, lanes);
                }
            });
        }
    }
    for (int64_t i = 0; i < count; ++i)
        std::memcpy(results.last + rows[i].index * H, operands + i * layout.operand, H * sizeof(float));
}

}  // namespace dien::PATH::gru
