// The recurrence of one tile: a product for all its rows, then the gates of each row.
#pragma once

#include <cstring>

#include "../activations.h"
#include "../product.h"
#include "share.h"

namespace dien::PATH::gru {

using namespace dien::gru;

int64_t forward_scratch(int64_t hidden, int64_t rows) {
    const Layout layout(hidden, LANES);
    return rows * (layout.state + layout.gates);
}

template <Kind kind>
void forward(const Problem& problem, const Weights& weights, const Row* rows, int64_t count, float* last,
             float* states, float* scratch) {
    const int64_t H = problem.hidden;
    const Layout layout(H, LANES);
    float* const h = scratch;                              // [count, H + 1] states, then a 1
    float* const recurrent = h + count * layout.state;     // [count, 3H] U h + bias

    for (int64_t i = 0; i < count; ++i) {
        float* h_i = h + i * layout.state;
        std::memset(h_i, 0, layout.state * sizeof(float));
        if (problem.state) std::memcpy(h_i, problem.state + rows[i].index * H, H * sizeof(float));
        h_i[H] = 1.0f;
    }
    int64_t live = count;  // rows that have step t
    for (int64_t t = 0;; ++t) {
        while (live > 0 && rows[live - 1].length <= t) --live;
        if (live == 0) break;
        product(live, layout.gates, H + 1, {h, layout.state, 1}, weights.forward, layout.gates, recurrent,
                layout.gates, false);
        const auto input_of = [&](int64_t i) { return problem.gates + (rows[i].start + t) * problem.gates_stride; };
        for (int64_t i = 0; i < live; ++i) {
            const float* input = input_of(i);
            float* rec = recurrent + i * layout.gates;
            prefetch(input + problem.gates_stride, 3 * H);  // of step t + 1
            if (states) prefetch(states + (rows[i].pair + t + 1) * H, H);
            each_vector(2 * H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                store(rec + unit, sigmoid(load(input + unit, lanes) + load(rec + unit, lanes)), lanes);
            });
        }
        for (int64_t i = 0; i < live; ++i) {
            const int64_t pair = rows[i].pair + t;
            const float* input = input_of(i) + 2 * H;
            const float* rec = recurrent + i * layout.gates;
            float* h_i = h + i * layout.state;
            float* kept = states ? states + pair * H : nullptr;
            const Vec a = kind == Kind::gru ? Vec{} : broadcast(problem.scores[pair]);
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                const Vec r = load(rec + unit, lanes), u = load(rec + H + unit, lanes);
                const Vec n = tanh(load(input + unit, lanes) + r * load(rec + 2 * H + unit, lanes));
                const Vec before = load(h_i + unit, lanes);
                const Vec after = before + new_share<kind>(u, a) * (n - before);
                store(h_i + unit, after, lanes);
                if (kept) store(kept + unit, after, lanes);
            });
        }
    }
    for (int64_t i = 0; i < count; ++i)
        std::memcpy(last + rows[i].index * H, h + i * layout.state, H * sizeof(float));
}

}  // namespace dien::PATH::gru
