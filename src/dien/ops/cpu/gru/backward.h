// The gradient of one tile, from its last step to its first. It reads the states and the gates that forward kept.
#pragma once

#include "step.h"

namespace dien::PATH::gru {

int64_t backward_scratch(const Layout& layout, int64_t rows) {
    return rows * (layout.operand + layout.sums + layout.flow) + layout.flow;
}

template <Kind kind, bool projects>
void backward(const Problem& problem, const Weights& weights, const Row* rows, int64_t count,
              const Gradients& gradients, float* part, float* scratch) {
    const int64_t H = problem.hidden, D = problem.inputs;
    const Layout layout(problem, LANES);
    float* const operands = scratch;                        // [count, H + 1 + D] of the state before step t
    float* const sums = operands + count * layout.operand;  // [count, 3H or 4H] dL / d sums
    float* const flow = sums + count * layout.sums;         // [count, H] dL / dh, from later steps
    float* const zeros = flow + count * layout.flow;        // [H]
    float* const by_hidden = part;                               // [H + 1, n r u]
    float* const by_inputs = part + (H + 1) * layout.recurrent;  // [1 + D, r u n] from layout.skipped on

    std::memset(zeros, 0, layout.flow * sizeof(float));
    for (int64_t i = 0; i < count; ++i) {
        operands[i * layout.operand + H] = 1.0f;
        const float* of_last = gradients.of_last ? gradients.of_last + rows[i].index * H : zeros;
        each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            store(flow + i * layout.flow + unit, load(of_last + unit, lanes));
        });
    }
    int64_t live = 0;  // rows that have step t
    for (int64_t t = count ? rows[0].length - 1 : -1; t >= 0; --t) {
        while (live < count && rows[live].length > t) ++live;
        for (int64_t i = 0; i < live; ++i) {
            const float* before = t > 0           ? gradients.states + (rows[i].pair + t - 1) * H
                                  : problem.state ? problem.state + rows[i].index * H
                                                  : zeros;
            float* h = operands + i * layout.operand;
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                store(h + unit, load(before + unit, lanes), lanes);
            });
        }
        if constexpr (projects) put_inputs(problem, layout, rows, live, t, operands);
        for (int64_t i = 0; i < live; ++i) {
            const int64_t pair = rows[i].pair + t;
            float* const sum = sums + i * layout.sums;
            const float* const opened = gradients.opened + pair * 4 * H;
            const float* of_state = gradients.of_states ? gradients.of_states + pair * H : zeros;
            const float* h = operands + i * layout.operand;
            float* flow_i = flow + i * layout.flow;
            float* by_gates = projects ? nullptr : gradients.gates + (rows[i].start + t) * 3 * H;
            const bool adds = rows[i].adds;
            if (t > 0) {  // what step t - 1 reads
                if (gradients.of_states) prefetch(of_state - H, H);
                prefetch(opened - 4 * H, 4 * H);
                if constexpr (projects)
                    prefetch(inputs_of(problem, rows[i], t - 1), D);
                else
                    prefetch(by_gates - 3 * H, 3 * H);
            }
            if (t > 1) prefetch(gradients.states + (pair - 2) * H, H);
            const Vec a = kind == Kind::gru ? Vec{} : broadcast(problem.scores[pair]);
            Vec by_score{};
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                const Vec rec_n = load(opened + unit, lanes), r = load(opened + H + unit, lanes);
                const Vec u = load(opened + 2 * H + unit, lanes), n = load(opened + 3 * H + unit, lanes);
                const Vec g = new_share<kind>(u, a);

                const Vec by_h = load(flow_i + unit) + load(of_state + unit, lanes);
                const Vec by_n = by_h * g * (1.0f - n * n);  // through tanh, as r and u through sigmoid below
                const Vec by_g = by_h * (n - load(h + unit, lanes));
                const Vec by_r = by_n * rec_n * r * (1.0f - r);
                const Vec by_u = by_g * share_by_update<kind>(a) * u * (1.0f - u);
                by_score += by_g * share_by_score<kind>(u);
                store(flow_i + unit, by_h * (1.0f - g));
                store(sum + unit, by_n * r, lanes);
                store(sum + H + unit, by_r, lanes);
                store(sum + 2 * H + unit, by_u, lanes);
                if constexpr (projects) {
                    store(sum + 3 * H + unit, by_n, lanes);
                } else {
                    const auto put = [&](float* p, Vec v) INLINE_LAMBDA {
                        store(p + unit, adds ? load(p + unit, lanes) + v : v, lanes);
                    };
                    put(by_gates, by_r);
                    put(by_gates + H, by_u);
                    put(by_gates + 2 * H, by_n);
                }
            });
            if (gradients.scores) gradients.scores[pair] = dien::PATH::sum(by_score);
        }
        product(live, layout.flow, 3 * H, {sums, layout.sums, 1}, weights.to_state, layout.flow, flow, layout.flow,
                true);
        product(H + 1, layout.recurrent, live, {operands, 1, layout.operand}, sums, layout.sums, by_hidden,
                layout.recurrent, true);
        if constexpr (projects) {
            const int64_t columns = layout.sums - layout.skipped;
            product(1 + D, columns, live, {operands + H, 1, layout.operand}, sums + layout.skipped, layout.sums,
                    by_inputs, columns, true);
            // The inputs are done with: their gradient takes their place.
            product(live, D, 3 * H, {sums + H, layout.sums, 1}, weights.to_x, layout.x, operands + H + 1,
                    layout.operand, false);
            for (int64_t i = 0; i < live; ++i) {
                const float* by_x = operands + i * layout.operand + H + 1;
                float* to = gradients.x + (rows[i].start + t) * D;
                each_vector(D, [&](int64_t k, auto lanes) INLINE_LAMBDA {
                    const Vec v = load(by_x + k, lanes);
                    store(to + k, rows[i].adds ? load(to + k, lanes) + v : v, lanes);
                });
            }
        }
    }
    if (gradients.state)
        for (int64_t i = 0; i < count; ++i)
            std::memcpy(gradients.state + rows[i].index * H, flow + i * layout.flow, H * sizeof(float));
}

}  // namespace dien::PATH::gru
