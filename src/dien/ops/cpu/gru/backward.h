// The gradient of one tile, from its last step to its first. The gates are computed again from the kept states.
#pragma once

#include <cstring>

#include "../activations.h"
#include "../product.h"
#include "share.h"

namespace dien::PATH::gru {

using namespace dien::gru;

int64_t backward_scratch(int64_t hidden, int64_t rows) {
    const Layout layout(hidden, LANES);
    return rows * (layout.state + 2 * layout.gates + layout.flow);
}

template <Kind kind>
void backward(const Problem& problem, const Weights& weights, const Row* rows, int64_t count,
              const Gradients& gradients, float* weight, float* scratch) {
    const int64_t H = problem.hidden;
    const Layout layout(H, LANES);
    float* const h = scratch;                              // [count, H + 1] states before step t, then a 1
    float* const recurrent = h + count * layout.state;     // [count, 3H] U h + bias
    float* const by_recurrent = recurrent + count * layout.gates;  // [count, 3H] dL / d recurrent
    float* const flow = by_recurrent + count * layout.gates;       // [count, H] dL / dh, from later steps

    for (int64_t i = 0; i < count; ++i) {
        h[i * layout.state + H] = 1.0f;
        for (int64_t j = 3 * H; j < layout.gates; ++j) by_recurrent[i * layout.gates + j] = 0.0f;
        const float* of_last = gradients.of_last + rows[i].index * H;
        each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            store(flow + i * layout.flow + unit, load(of_last + unit, lanes));
        });
    }
    int64_t live = 0;  // rows that have step t
    for (int64_t t = count ? rows[0].length - 1 : -1; t >= 0; --t) {
        while (live < count && rows[live].length > t) ++live;
        for (int64_t i = 0; i < live; ++i) {
            const float* before = t > 0             ? gradients.states + (rows[i].pair + t - 1) * H
                                  : problem.state ? problem.state + rows[i].index * H
                                                    : nullptr;
            float* h_i = h + i * layout.state;
            if (before)
                std::memcpy(h_i, before, H * sizeof(float));
            else
                std::memset(h_i, 0, H * sizeof(float));
        }
        product(live, layout.gates, H + 1, {h, layout.state, 1}, weights.forward, layout.gates, recurrent,
                layout.gates, false);
        for (int64_t i = 0; i < live; ++i) {
            const float* input = problem.gates + (rows[i].start + t) * problem.gates_stride;
            float* rec = recurrent + i * layout.gates;
            each_vector(2 * H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                store(rec + unit, sigmoid(load(input + unit, lanes) + load(rec + unit, lanes)), lanes);
            });
        }
        for (int64_t i = 0; i < live; ++i) {
            const int64_t pair = rows[i].pair + t;
            const float* input = problem.gates + (rows[i].start + t) * problem.gates_stride;
            const float* of_state = gradients.of_states + pair * H;
            const float* rec = recurrent + i * layout.gates;
            const float* h_i = h + i * layout.state;
            float* by_rec = by_recurrent + i * layout.gates;
            float* flow_i = flow + i * layout.flow;
            float* by_input = gradients.gates + (rows[i].start + t) * 3 * H;
            const bool adds = rows[i].adds;
            if (t > 0) {  // what step t - 1 reads
                prefetch(input - problem.gates_stride, 3 * H);
                prefetch(of_state - H, H);
                prefetch(by_input - 3 * H, 3 * H);
            }
            if (t > 1) prefetch(gradients.states + (pair - 2) * H, H);
            const Vec a = kind == Kind::gru ? Vec{} : broadcast(problem.scores[pair]);
            Vec by_score{};
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                const Vec rec_n = load(rec + 2 * H + unit, lanes);
                const Vec r = load(rec + unit, lanes), u = load(rec + H + unit, lanes);
                const Vec n = tanh(load(input + 2 * H + unit, lanes) + r * rec_n);
                const Vec g = new_share<kind>(u, a);

                const Vec by_h = load(flow_i + unit) + load(of_state + unit, lanes);
                const Vec by_n = by_h * g * (1.0f - n * n);  // through tanh, as r and u through sigmoid below
                const Vec by_g = by_h * (n - load(h_i + unit, lanes));
                const Vec by_r = by_n * rec_n * r * (1.0f - r);
                const Vec by_u = by_g * share_by_update<kind>(a) * u * (1.0f - u);
                by_score += by_g * share_by_score<kind>(u);
                store(flow_i + unit, by_h * (1.0f - g));
                store(by_rec + unit, by_r, lanes);
                store(by_rec + H + unit, by_u, lanes);
                store(by_rec + 2 * H + unit, by_n * r, lanes);
                const auto put = [&](float* p, Vec v) INLINE_LAMBDA {
                    store(p + unit, adds ? load(p + unit, lanes) + v : v, lanes);
                };
                put(by_input, by_r);
                put(by_input + H, by_u);
                put(by_input + 2 * H, by_n);
            });
            if (gradients.scores) gradients.scores[pair] = sum(by_score);
        }
        product(live, layout.flow, 3 * H, {by_recurrent, layout.gates, 1}, weights.backward, layout.flow, flow,
                layout.flow, true);
        product(H + 1, layout.gates, live, {h, 1, layout.state}, by_recurrent, layout.gates, weight, layout.gates,
                true);
    }
    if (gradients.state)
        for (int64_t i = 0; i < count; ++i)
            std::memcpy(gradients.state + rows[i].index * H, flow + i * layout.flow, H * sizeof(float));
}

}  // namespace dien::PATH::gru
