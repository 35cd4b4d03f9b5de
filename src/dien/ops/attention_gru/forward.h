// The recurrence of one tile: a product for all its rows, then the gates of each row.
#pragma once

#include "attention_gru/step.h"

namespace dien::ISA::gru {

int64_t forward_scratch(const Layout& layout, int64_t rows) { return rows * (layout.operand + layout.sums); }

template <Kind kind, bool projects>
void forward(const Problem& problem, const Weights& weights, const Row* rows, int64_t count, const Results& results,
             float* scratch) {
    const int64_t H = problem.hidden;
    const Layout layout(problem, LANES);
    float* const operands = scratch;                        // [count, H + 1 + D]
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
                prefetch(x_of(problem, rows[i], t + 1), problem.inputs);
            else
                prefetch(x_of(problem, rows[i], t + 1), 3 * H);
            if (results.states) prefetch(results.states + (rows[i].pair + t + 1) * H, H);
            if (results.activations) prefetch(results.activations + (rows[i].pair + t + 1) * 4 * H, 4 * H);
            activate_gates<projects>(problem, rows[i], t, sums + i * layout.sums);
        }
        for (int64_t i = 0; i < live; ++i) {
            const int64_t pair = rows[i].pair + t;
            const float* sum = sums + i * layout.sums;
            const float* input_n = projects ? sum + 3 * H : x_of(problem, rows[i], t) + 2 * H;
            float* h = operands + i * layout.operand;
            float* const state = results.states ? results.states + pair * H : nullptr;
            float* const activations = results.activations ? results.activations + pair * 4 * H : nullptr;
            const Vec a = kind == Kind::gru ? Vec{} : broadcast(problem.scores[pair]);
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                const Vec r = load(sum + H + unit, lanes), u = load(sum + 2 * H + unit, lanes);
                const Vec rec_n = load(sum + unit, lanes);
                const Vec n = tanh(load(input_n + unit, lanes) + r * rec_n);
                const Vec before = load(h + unit, lanes);
                const Vec after = before + attentional_update<kind>(u, a) * (n - before);
                store(h + unit, after, lanes);
                if (state) store(state + unit, after, lanes);
                if (activations) {
                    store(activations + unit, rec_n, lanes);
                    store(activations + H + unit, r, lanes);
                    store(activations + 2 * H + unit, u, lanes);
                    store(activations + 3 * H + unit, n, lanes);
                }
            });
        }
    }
    for (int64_t i = 0; i < count; ++i)
        std::memcpy(results.last + rows[i].index * H, operands + i * layout.operand, H * sizeof(float));
}

}  // namespace dien::ISA::gru
