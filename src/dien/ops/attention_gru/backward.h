// The gradient of one tile, from its last step to its first. It reads the states and activations that forward kept.
#pragma once

#include "attention_gru/step.h"

namespace dien::ISA::gru {

int64_t backward_scratch(const Layout& layout, int64_t rows) {
    return rows * (layout.operand + layout.sums + layout.state) + layout.state;
}

template <Kind kind, bool projects>
void backward(const Problem& problem, const Weights& weights, const Row* rows, int64_t count,
              const Gradients& gradients, float* part, float* scratch) {
    const int64_t H = problem.hidden, D = problem.inputs;
    const Layout layout(problem, LANES);
    float* const operands = scratch;                              // [count, H + 1 + D] of the state before step t
    float* const dsums = operands + count * layout.operand;       // [count, 3H or 4H]
    float* const dh = dsums + count * layout.sums;                // [count, H] from later steps
    float* const zeros = dh + count * layout.state;               // [H]
    float* const dweight_hh = part;                               // and of the bias [H + 1, n r u]
    float* const dweight_ih = part + (H + 1) * layout.recurrent;  // [1 + D, r u n] from layout.skipped on

    std::memset(zeros, 0, layout.state * sizeof(float));
    for (int64_t i = 0; i < count; ++i) {
        operands[i * layout.operand + H] = 1.0f;
        const float* dlast = gradients.dlast ? gradients.dlast + rows[i].index * H : zeros;
        each_vector(H, [&](int64_t unit, auto lanes)
                           INLINE_LAMBDA { store(dh + i * layout.state + unit, load(dlast + unit, lanes)); });
    }
    int64_t live = 0;  // rows that have step t
    for (int64_t t = count ? rows[0].length - 1 : -1; t >= 0; --t) {
        while (live < count && rows[live].length > t) ++live;
        for (int64_t i = 0; i < live; ++i) {
            const float* before = t > 0           ? gradients.states + (rows[i].pair + t - 1) * H
                                  : problem.state ? problem.state + rows[i].index * H
                                                  : zeros;
            float* h = operands + i * layout.operand;
            each_vector(
                H, [&](int64_t unit, auto lanes) INLINE_LAMBDA { store(h + unit, load(before + unit, lanes), lanes); });
        }
        if constexpr (projects) put_inputs(problem, layout, rows, live, t, operands);
        for (int64_t i = 0; i < live; ++i) {
            const int64_t pair = rows[i].pair + t;
            float* const dsum = dsums + i * layout.sums;
            const float* const activations = gradients.activations + pair * 4 * H;
            const float* dstate_t = gradients.dstates ? gradients.dstates + pair * H : zeros;
            const float* h = operands + i * layout.operand;
            float* dh_i = dh + i * layout.state;
            float* dprojections = projects ? nullptr : gradients.dx + (rows[i].start + t) * 3 * H;
            const bool adds = rows[i].adds;
            if (t > 0) {  // what step t - 1 reads
                if (gradients.dstates) prefetch(dstate_t - H, H);
                prefetch(activations - 4 * H, 4 * H);
                if constexpr (projects)
                    prefetch(x_of(problem, rows[i], t - 1), D);
                else
                    prefetch(dprojections - 3 * H, 3 * H);
            }
            if (t > 1) prefetch(gradients.states + (pair - 2) * H, H);
            const Vec a = kind == Kind::gru ? Vec{} : broadcast(problem.scores[pair]);
            Vec da{};
            each_vector(H, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                const Vec rec_n = load(activations + unit, lanes), r = load(activations + H + unit, lanes);
                const Vec u = load(activations + 2 * H + unit, lanes), n = load(activations + 3 * H + unit, lanes);
                const Vec g = attentional_update<kind>(u, a);

                const Vec dh_t = load(dh_i + unit) + load(dstate_t + unit, lanes);
                const Vec dn = dh_t * g * (1.0f - n * n);  // through tanh, as r and u through sigmoid below
                const Vec dg = dh_t * (n - load(h + unit, lanes));
                const Vec dr = dn * rec_n * r * (1.0f - r);
                const Vec du = dg * dupdate_du<kind>(a) * u * (1.0f - u);
                da += dg * dupdate_da<kind>(u);
                store(dh_i + unit, dh_t * (1.0f - g));
                store(dsum + unit, dn * r, lanes);
                store(dsum + H + unit, dr, lanes);
                store(dsum + 2 * H + unit, du, lanes);
                if constexpr (projects) {
                    store(dsum + 3 * H + unit, dn, lanes);
                } else {
                    const auto put = [&](float* p, Vec v) INLINE_LAMBDA {
                        store(p + unit, adds ? load(p + unit, lanes) + v : v, lanes);
                    };
                    put(dprojections, dr);
                    put(dprojections + H, du);
                    put(dprojections + 2 * H, dn);
                }
            });
            if (gradients.dscores) gradients.dscores[pair] = dien::ISA::sum(da);
        }
        product(live, layout.state, 3 * H, {dsums, layout.sums, 1}, weights.backward_state, layout.state, dh,
                layout.state, true);
        product(H + 1, layout.recurrent, live, {operands, 1, layout.operand}, dsums, layout.sums, dweight_hh,
                layout.recurrent, true);
        if constexpr (projects) {
            const int64_t columns = layout.sums - layout.skipped;
            product(1 + D, columns, live, {operands + H, 1, layout.operand}, dsums + layout.skipped, layout.sums,
                    dweight_ih, columns, true);
            // The inputs are done with: their gradient takes their place.
            product(live, D, 3 * H, {dsums + H, layout.sums, 1}, weights.backward_x, layout.x, operands + H + 1,
                    layout.operand, false);
            for (int64_t i = 0; i < live; ++i) {
                const float* dx = operands + i * layout.operand + H + 1;
                float* to = gradients.dx + (rows[i].start + t) * D;
                each_vector(D, [&](int64_t k, auto lanes) INLINE_LAMBDA {
                    const Vec v = load(dx + k, lanes);
                    store(to + k, rows[i].adds ? load(to + k, lanes) + v : v, lanes);
                });
            }
        }
    }
    if (gradients.dstate)
        for (int64_t i = 0; i < count; ++i)
            std::memcpy(gradients.dstate + rows[i].index * H, dh + i * layout.state, H * sizeof(float));
}

}  // namespace dien::ISA::gru
