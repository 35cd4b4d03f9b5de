// Attention logits of a tile. With the target folded into the weights, a row's steps go through one product:
// nothing of the width of [q, k, q - k, q * k] is ever written.
#pragma once

#include <cstring>

#include "tower.h"

namespace dien::PATH::mlp {

struct AttentionTile {
    float *folded, *folded_back, *by_folded, *by_states, *logits;
    TowerTile tower;

    AttentionTile(Carver& carver, const Attention& problem, const PackedTower& packed, int64_t rows)
        : folded(carver.take(problem.hidden * packed.z[0])),
          folded_back(carver.take(packed.width[0] * in_vectors(problem.hidden))),
          by_folded(carver.take(problem.hidden * packed.z[0])),
          by_states(carver.take(rows * in_vectors(problem.hidden))),
          logits(carver.take(rows)),
          tower(carver, packed, rows) {}
};

int64_t attention_scratch(const Attention& problem, const PackedTower& packed, int64_t rows) {
    Carver carver(nullptr);
    AttentionTile(carver, problem, packed, rows);
    return carver.used;
}

INLINE void attention_first(const Attention& problem, const PackedAttention& packed, const Piece* pieces,
                               int64_t count, const AttentionTile& tile) {
    const int64_t H = problem.hidden, W = packed.tower.width[0], Z = packed.tower.z[0];
    int64_t rows = 0;
    for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
        const float* q = problem.targets + piece->row * H;
        for (int64_t k = 0; k < H; ++k) {
            const Vec q_k = broadcast(q[k]);
            for (int64_t unit = k * Z; unit < (k + 1) * Z; unit += LANES)
                store(tile.folded + unit, load(packed.of_state + unit) + q_k * load(packed.of_product + unit));
        }
        const float* bias = problem.bias + piece->row * W;
        float* const z = tile.tower.z[0] + rows * Z;
        for (int64_t i = 0; i < piece->count; ++i)
            each_vector(W, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                store(z + i * Z + unit, load(bias + unit, lanes));  // zeros beyond W
            });
        product(piece->count, Z, H, {problem.states + piece->step * H, H, 1}, tile.folded, Z, z, Z, true);
        rows += piece->count;
    }
}

void attention_forward(const Attention& problem, const PackedAttention& packed, const Piece* pieces, int64_t count,
                       float* logits, float* scratch) {
    Carver carver(scratch);
    int64_t rows = 0;
    for (int64_t i = 0; i < count; ++i) rows += pieces[i].count;
    const AttentionTile tile(carver, problem, packed.tower, rows);
    attention_first(problem, packed, pieces, count, tile);
    with_activation(packed.tower.activation, [&](auto act) {
        tower_forward<decltype(act)::value>(packed.tower, tile.tower, rows, tile.logits);
    });
    const float* from = tile.logits;
    for (const Piece* piece = pieces; piece < pieces + count; from += piece->count, ++piece)
        std::memcpy(logits + piece->pair, from, piece->count * sizeof(float));
}

void attention_backward(const Attention& problem, const PackedAttention& packed, const Piece* pieces, int64_t count,
                        const AttentionGradients& gradients, float* part, float* scratch) {
    const int64_t H = problem.hidden, W = packed.tower.width[0], Z = packed.tower.z[0], H_row = in_vectors(H);
    Carver carver(scratch);
    int64_t rows = 0;
    for (int64_t i = 0; i < count; ++i) rows += pieces[i].count;
    const AttentionTile tile(carver, problem, packed.tower, rows);
    attention_first(problem, packed, pieces, count, tile);
    float* const by_of_state = part;
    float* const by_of_product = part + H * Z;
    with_activation(packed.tower.activation, [&](auto act) {
        tower_forward<decltype(act)::value>(packed.tower, tile.tower, rows, tile.logits);
        int64_t i = 0;
        for (const Piece* piece = pieces; piece < pieces + count; i += piece->count, ++piece)
            std::memcpy(tile.logits + i, gradients.of_logits + piece->pair, piece->count * sizeof(float));
        tower_backward<decltype(act)::value>(packed.tower, tile.tower, rows, tile.logits, part + 2 * H * Z);
    });
    const float* by_z = tile.tower.by_z[0];
    for (const Piece* piece = pieces; piece < pieces + count; by_z += piece->count * Z, ++piece) {
        const float* q = problem.targets + piece->row * H;
        for (int64_t w = 0; w < W; ++w)
            each_vector(H, [&](int64_t k, auto lanes) INLINE_LAMBDA {
                const int64_t at = w * H_row + k;
                store(tile.folded_back + at,
                      load(packed.back_state + at) + load(q + k, lanes) * load(packed.back_product + at));
            });
        product(piece->count, H_row, W, {by_z, Z, 1}, tile.folded_back, H_row, tile.by_states, H_row, false);
        for (int64_t i = 0; i < piece->count; ++i) {
            float* const to = gradients.states + (piece->step + i) * H;
            each_vector(H, [&](int64_t k, auto lanes) INLINE_LAMBDA {
                const Vec v = load(tile.by_states + i * H_row + k);
                store(to + k, piece->adds ? load(to + k, lanes) + v : v, lanes);
            });
        }
        product(H, Z, piece->count, {problem.states + piece->step * H, 1, H}, by_z, Z, tile.by_folded, Z, false);
        float* const by_q = gradients.targets + piece->row * H;
        for (int64_t k = 0; k < H; ++k) {
            const Vec q_k = broadcast(q[k]);
            Vec total{};
            for (int64_t unit = k * Z; unit < (k + 1) * Z; unit += LANES) {
                const Vec v = load(tile.by_folded + unit);
                store(by_of_state + unit, load(by_of_state + unit) + v);
                store(by_of_product + unit, load(by_of_product + unit) + q_k * v);
                total += v * load(packed.of_product + unit);
            }
            by_q[k] += sum(total);
        }
        float* const by_bias = gradients.bias + piece->row * W;
        each_vector(W, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            Vec total = load(by_bias + unit, lanes);
            for (int64_t i = 0; i < piece->count; ++i) total += load(by_z + i * Z + unit);
            store(by_bias + unit, total, lanes);
        });
    }
}

}  // namespace dien::PATH::mlp
