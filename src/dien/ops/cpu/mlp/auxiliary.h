// The auxiliary network on a tile of states, each with the click and the non-click after it, which share the
// state's part of the first layer. The loss being a sum of terms known here, its gradient is computed with it.
#pragma once

#include "attention.h"
#include "tower.h"

namespace dien::PATH::mlp {

struct AuxiliaryTile {
    float *state, *item, *of_state, *by_state, *back, *by_logits;
    TowerTile tower;

    AuxiliaryTile(Carver& carver, const Auxiliary& problem, const PackedTower& packed, int64_t rows)
        : state(carver.take(rows * in_vectors(problem.hidden + 1))),
          item(carver.take(rows * in_vectors(problem.item))),
          of_state(carver.take(rows * packed.z[0])),
          by_state(carver.take(rows * packed.z[0])),
          back(carver.take(rows * (in_vectors(problem.hidden) + in_vectors(problem.item)))),
          by_logits(carver.take(rows + LANES)),
          tower(carver, packed, rows) {}
};

int64_t auxiliary_scratch(const Auxiliary& problem, const PackedTower& packed, int64_t rows) {
    Carver carver(nullptr);
    AuxiliaryTile(carver, problem, packed, rows);
    return carver.used;
}

// Writes rows [count, width], whole vectors apart, to rows now[i] + ahead of a gradient, and zeros between them.
INLINE void spread(const Auxiliary& problem, int64_t begin, int64_t end, int64_t ahead, int64_t width, const float* from,
                   float* to) {
    const int64_t from_row = in_vectors(width);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t row = problem.now[i] + ahead, after = i ? problem.now[i - 1] + ahead + 1 : 0;
        if (after < row) std::memset(to + after * width, 0, (row - after) * width * sizeof(float));
        std::memcpy(to + row * width, from + (i - begin) * from_row, width * sizeof(float));
    }
}

void auxiliary(const Auxiliary& problem, const PackedAuxiliary& packed, int64_t begin, int64_t end, float* logits,
               const AuxiliaryGradients* gradients, float* part, float* scratch) {
    const int64_t H = problem.hidden, D = problem.item, W = packed.tower.width[0], Z = packed.tower.z[0];
    const int64_t H_row = in_vectors(H), S_row = in_vectors(H + 1), D_row = in_vectors(D), rows = end - begin;
    Carver carver(scratch);
    const AuxiliaryTile tile(carver, problem, packed.tower, rows);
    float* const by_of_state = part;
    float* const by_of_item = part + (H + 1) * Z;
    float* const by_tower = by_of_item + D * Z;

    for (int64_t i = 0; i < rows; ++i) {
        std::memcpy(tile.state + i * S_row, problem.states + problem.now[begin + i] * H, H * sizeof(float));
        tile.state[i * S_row + H] = 1.0f;
    }
    product(rows, Z, H + 1, {tile.state, S_row, 1}, packed.of_state, Z, tile.of_state, Z, false);
    for (int kind = 0; kind < 2; ++kind) {
        const bool click = kind == 0;
        const float* items = click ? problem.items : problem.negatives;
        const int64_t stride = click ? problem.items_stride : problem.negatives_stride;
        for (int64_t i = 0; i < rows; ++i)
            std::memcpy(tile.item + i * D_row, items + (problem.now[begin + i] + problem.ahead) * stride, D * sizeof(float));
        std::memcpy(tile.tower.z[0], tile.of_state, rows * Z * sizeof(float));
        product(rows, Z, D, {tile.item, D_row, 1}, packed.of_item, Z, tile.tower.z[0], Z, true);
        float* const to = logits + (click ? 0 : problem.pairs) + begin;
        with_activation(packed.tower.activation, [&](auto act) {
            tower_forward<decltype(act)::value>(packed.tower, tile.tower, rows, to);
            if (!gradients) return;
            for (int64_t i = 0; i < rows; i += LANES) {
                const First lanes(rows - i < LANES ? rows - i : LANES);
                // 1 - σ(x) = σ(-x) keeps its digits where σ(x) is near 1.
                const Vec x = load(to + i, lanes);
                store(tile.by_logits + i, click ? -sigmoid(-x) : sigmoid(x));
            }
            tower_backward<decltype(act)::value>(packed.tower, tile.tower, rows, tile.by_logits, by_tower);
        });
        if (!gradients) continue;
        const float* by_z = tile.tower.by_z[0];
        product(D, Z, rows, {tile.item, 1, D_row}, by_z, Z, by_of_item, Z, true);
        product(rows, D_row, W, {by_z, Z, 1}, packed.back_item, D_row, tile.back, D_row, false);
        spread(problem, begin, end, problem.ahead, D, tile.back, click ? gradients->items : gradients->negatives);
        for (int64_t i = 0; i < rows * Z; i += LANES)
            store(tile.by_state + i, click ? load(by_z + i) : load(tile.by_state + i) + load(by_z + i));
    }
    if (!gradients) return;
    product(H + 1, Z, rows, {tile.state, 1, S_row}, tile.by_state, Z, by_of_state, Z, true);
    product(rows, H_row, W, {tile.by_state, Z, 1}, packed.back_state, H_row, tile.back, H_row, false);
    spread(problem, begin, end, 0, H, tile.back, gradients->states);
}

}  // namespace dien::PATH::mlp
