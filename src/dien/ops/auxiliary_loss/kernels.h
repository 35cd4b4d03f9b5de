// The auxiliary network on a tile of states, each with the click and the non-click after it, which share the
// state's part of the first layer. The loss being a sum of terms known here, its gradient is computed with it.
#pragma once

#include "auxiliary_loss/problem.h"
#include "mlp/tail.h"

namespace dien::ISA::auxiliary {

using namespace dien::auxiliary;
using namespace dien::ISA::mlp;

struct Tile {
    float *state, *item, *first, *dfirst, *dinput, *dlogits;
    TailTile tail;

    Tile(Carver& carver, const Problem& problem, const PackedTail& packed, int64_t rows)
        : state(carver.take(rows * in_vectors(problem.hidden + 1))),
          item(carver.take(rows * in_vectors(problem.item))),
          first(carver.take(rows * packed.z[0])),
          dfirst(carver.take(rows * packed.z[0])),
          dinput(carver.take(rows * (in_vectors(problem.hidden) + in_vectors(problem.item)))),
          dlogits(carver.take(rows + LANES)),
          tail(carver, packed, rows) {}
};

int64_t scratch_floats(const Problem& problem, const PackedTail& packed, int64_t rows) {
    Carver carver(nullptr);
    Tile(carver, problem, packed, rows);
    return carver.used;
}

// Writes rows [count, width], whole vectors apart, to rows now[i] + ahead of a gradient, and zeros between them.
INLINE void spread(const Problem& problem, int64_t begin, int64_t end, int64_t ahead, int64_t width, const float* from,
                   float* to) {
    const int64_t from_row = in_vectors(width);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t row = problem.now[i] + ahead, after = i ? problem.now[i - 1] + ahead + 1 : 0;
        if (after < row) std::memset(to + after * width, 0, (row - after) * width * sizeof(float));
        std::memcpy(to + row * width, from + (i - begin) * from_row, width * sizeof(float));
    }
}

void run(const Problem& problem, const Packed& packed, int64_t begin, int64_t end, float* logits,
         const Gradients* gradients, float* part, float* scratch) {
    const int64_t H = problem.hidden, D = problem.item, W = packed.tail.width[0], Z = packed.tail.z[0];
    const int64_t H_row = in_vectors(H), S_row = in_vectors(H + 1), D_row = in_vectors(D), rows = end - begin;
    Carver carver(scratch);
    const Tile tile(carver, problem, packed.tail, rows);
    float* const dweight_state = part;
    float* const dweight_item = part + (H + 1) * Z;
    float* const dtail = dweight_item + D * Z;

    for (int64_t i = 0; i < rows; ++i) {
        std::memcpy(tile.state + i * S_row, problem.states + problem.now[begin + i] * H, H * sizeof(float));
        tile.state[i * S_row + H] = 1.0f;
    }
    product(rows, Z, H + 1, {tile.state, S_row, 1}, packed.weight_state, Z, tile.first, Z, false);
    for (int kind = 0; kind < 2; ++kind) {
        const bool click = kind == 0;
        const float* items = click ? problem.items : problem.negatives;
        const int64_t stride = click ? problem.items_stride : problem.negatives_stride;
        for (int64_t i = 0; i < rows; ++i)
            std::memcpy(tile.item + i * D_row, items + (problem.now[begin + i] + problem.ahead) * stride,
                        D * sizeof(float));
        std::memcpy(tile.tail.z[0], tile.first, rows * Z * sizeof(float));
        product(rows, Z, D, {tile.item, D_row, 1}, packed.weight_item, Z, tile.tail.z[0], Z, true);
        float* const to = logits + (click ? 0 : problem.count) + begin;
        with_activation(packed.tail.activation, [&](auto act) {
            tail_forward<decltype(act)::value>(packed.tail, tile.tail, rows, to);
            if (!gradients) return;
            for (int64_t i = 0; i < rows; i += LANES) {
                const First lanes(rows - i < LANES ? rows - i : LANES);
                // 1 - σ(x) = σ(-x) keeps its digits where σ(x) is near 1.
                const Vec x = load(to + i, lanes);
                store(tile.dlogits + i, click ? -sigmoid(-x) : sigmoid(x));
            }
            tail_backward<decltype(act)::value>(packed.tail, tile.tail, rows, tile.dlogits, dtail);
        });
        if (!gradients) continue;
        const float* dz = tile.tail.dz[0];
        product(D, Z, rows, {tile.item, 1, D_row}, dz, Z, dweight_item, Z, true);
        product(rows, D_row, W, {dz, Z, 1}, packed.backward_item, D_row, tile.dinput, D_row, false);
        spread(problem, begin, end, problem.ahead, D, tile.dinput, click ? gradients->ditems : gradients->dnegatives);
        for (int64_t i = 0; i < rows * Z; i += LANES)
            store(tile.dfirst + i, click ? load(dz + i) : load(tile.dfirst + i) + load(dz + i));
    }
    if (!gradients) return;
    product(H + 1, Z, rows, {tile.state, 1, S_row}, tile.dfirst, Z, dweight_state, Z, true);
    product(rows, H_row, W, {tile.dfirst, Z, 1}, packed.backward_state, H_row, tile.dinput, H_row, false);
    spread(problem, begin, end, 0, H, tile.dinput, gradients->dstates);
}

constexpr Kernels table{scratch_floats, run};

}  // namespace dien::ISA::auxiliary
