// Problem logits of a tile. With the target folded into the weights, a row's steps go through one product:
// nothing of the width of [q, k, q - k, q * k] is ever written.
#pragma once

#include <cstring>

#include "mlp/tail.h"
#include "mlp_attention/problem.h"

namespace dien::ISA::attention {

using namespace dien::attention;
using namespace dien::ISA::mlp;

struct Tile {
    float *folded, *folded_back, *dfolded, *dstates, *logits;
    TailTile tail;

    Tile(Carver& carver, const Problem& problem, const PackedTail& packed, int64_t rows)
        : folded(carver.take(problem.hidden * packed.z[0])),
          folded_back(carver.take(packed.width[0] * in_vectors(problem.hidden))),
          dfolded(carver.take(problem.hidden * packed.z[0])),
          dstates(carver.take(rows * in_vectors(problem.hidden))),
          logits(carver.take(rows)),
          tail(carver, packed, rows) {}
};

int64_t scratch_floats(const Problem& problem, const PackedTail& packed, int64_t rows) {
    Carver carver(nullptr);
    Tile(carver, problem, packed, rows);
    return carver.used;
}

// folded [H, Z]: the first layer's weights for the target of a row
INLINE void fold(const Problem& problem, const Packed& packed, int64_t row, float* folded) {
    const int64_t H = problem.hidden, Z = packed.tail.z[0];
    const float* q = problem.targets + row * H;
    for (int64_t k = 0; k < H; ++k) {
        const Vec q_k = broadcast(q[k]);
        for (int64_t unit = k * Z; unit < (k + 1) * Z; unit += LANES)
            store(folded + unit, load(packed.weight_state + unit) + q_k * load(packed.weight_product + unit));
    }
}

INLINE void first_layer(const Problem& problem, const Packed& packed, const Piece* pieces, int64_t count,
                        const Tile& tile) {
    const int64_t H = problem.hidden, W = packed.tail.width[0], Z = packed.tail.z[0];
    int64_t rows = 0;
    for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
        fold(problem, packed, piece->row, tile.folded);
        const float* bias = problem.bias + piece->row * W;
        float* const z = tile.tail.z[0] + rows * Z;
        for (int64_t i = 0; i < piece->count; ++i)
            each_vector(W, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
                store(z + i * Z + unit, load(bias + unit, lanes));  // zeros beyond W
            });
        product(piece->count, Z, H, {problem.states + piece->step * H, H, 1}, tile.folded, Z, z, Z, true);
        rows += piece->count;
    }
}

void forward(const Problem& problem, const Packed& packed, const Piece* pieces, int64_t count, float* logits,
             float* scratch) {
    Carver carver(scratch);
    int64_t rows = 0;
    for (int64_t i = 0; i < count; ++i) rows += pieces[i].count;
    const Tile tile(carver, problem, packed.tail, rows);
    first_layer(problem, packed, pieces, count, tile);
    with_activation(packed.tail.activation,
                    [&](auto act) { tail_forward<decltype(act)::value>(packed.tail, tile.tail, rows, tile.logits); });
    const float* from = tile.logits;
    for (const Piece* piece = pieces; piece < pieces + count; from += piece->count, ++piece)
        std::memcpy(logits + piece->pair, from, piece->count * sizeof(float));
}

// Steps that stand side by side in the lanes at once: what goes into a hidden layer of 80 is 20 KB of them.
constexpr int64_t ABREAST = 64;

struct Abreast {
    float *folded, *logits, *z[MOST_LAYERS];  // z [width + 1, ABREAST], the last row 1

    Abreast(Carver& carver, const Problem& problem, const PackedTail& tail)
        : folded(carver.take((problem.hidden + 1) * tail.z[0])), logits(carver.take(ABREAST)) {
        for (int l = 0; l < tail.layers; ++l) z[l] = carver.take((tail.width[l] + 1) * ABREAST);
    }
};

int64_t abreast_scratch(const Problem& problem, const PackedTail& packed) {
    Carver carver(nullptr);
    Abreast(carver, problem, packed);
    return carver.used;
}

// From z[0] [width[0], columns] to logits [columns], without the last bias; columns in whole vectors.
template <Activation act>
void tail_abreast(const PackedTail& tail, const Abreast& tile, int64_t columns) {
    for (int l = 0; l < tail.layers; ++l) {
        if (l > 0)
            product(tail.width[l], columns, tail.width[l - 1] + 1, {tail.forward[l], 1, tail.z[l]}, tile.z[l - 1],
                    ABREAST, tile.z[l], ABREAST, false);
        for (int64_t unit = 0; unit < tail.width[l]; ++unit) {
            const Vec slope = act == Activation::prelu ? broadcast(tail.slopes[l][unit]) : Vec{};
            float* const z = tile.z[l] + unit * ABREAST;
            for (int64_t i = 0; i < columns; i += LANES) store(z + i, activate<act>(load(z + i), slope));
        }
        float* const ones = tile.z[l] + tail.width[l] * ABREAST;
        for (int64_t i = 0; i < columns; i += LANES) store(ones + i, broadcast(1.0f));
    }
    const int last = tail.layers - 1;
    product(1, columns, tail.width[last], {tail.last, 0, 1}, tile.z[last], ABREAST, tile.logits, ABREAST, false);
}

void forward_row(const Problem& problem, const Packed& packed, const float* states, int64_t stride, const Row& row,
                 float* logits, float* scratch) {
    const PackedTail& tail = packed.tail;
    const int64_t H = problem.hidden, W = tail.width[0], Z = tail.z[0];
    Carver carver(scratch);
    const Abreast tile(carver, problem, tail);
    fold(problem, packed, row.index, tile.folded);
    std::memcpy(tile.folded + H * Z, problem.bias + row.index * W, W * sizeof(float));
    for (int64_t t = 0; t < row.length; t += ABREAST) {
        const int64_t count = row.length - t < ABREAST ? row.length - t : ABREAST, columns = in_vectors(count);
        product(W, columns, H + 1, {tile.folded, 1, Z}, states + row.start + t, stride, tile.z[0], ABREAST, false);
        with_activation(tail.activation,
                        [&](auto act) { tail_abreast<decltype(act)::value>(tail, tile, columns); });
        each_vector(count, [&](int64_t i, auto lanes) INLINE_LAMBDA {
            store(logits + row.pair + t + i, load(tile.logits + i) + broadcast(tail.last_bias), lanes);
        });
    }
}

void backward(const Problem& problem, const Packed& packed, const Piece* pieces, int64_t count,
              const Gradients& gradients, float* part, float* scratch) {
    const int64_t H = problem.hidden, W = packed.tail.width[0], Z = packed.tail.z[0], H_row = in_vectors(H);
    Carver carver(scratch);
    int64_t rows = 0;
    for (int64_t i = 0; i < count; ++i) rows += pieces[i].count;
    const Tile tile(carver, problem, packed.tail, rows);
    first_layer(problem, packed, pieces, count, tile);
    float* const dweight_state = part;
    float* const dweight_product = part + H * Z;
    with_activation(packed.tail.activation, [&](auto act) {
        tail_forward<decltype(act)::value>(packed.tail, tile.tail, rows, tile.logits);
        int64_t i = 0;
        for (const Piece* piece = pieces; piece < pieces + count; i += piece->count, ++piece)
            std::memcpy(tile.logits + i, gradients.dlogits + piece->pair, piece->count * sizeof(float));
        tail_backward<decltype(act)::value>(packed.tail, tile.tail, rows, tile.logits, part + 2 * H * Z);
    });
    const float* dz = tile.tail.dz[0];
    for (const Piece* piece = pieces; piece < pieces + count; dz += piece->count * Z, ++piece) {
        const float* q = problem.targets + piece->row * H;
        for (int64_t w = 0; w < W; ++w)
            each_vector(H, [&](int64_t k, auto lanes) INLINE_LAMBDA {
                const int64_t at = w * H_row + k;
                store(tile.folded_back + at,
                      load(packed.backward_state + at) + load(q + k, lanes) * load(packed.backward_product + at));
            });
        product(piece->count, H_row, W, {dz, Z, 1}, tile.folded_back, H_row, tile.dstates, H_row, false);
        for (int64_t i = 0; i < piece->count; ++i) {
            float* const to = gradients.dstates + (piece->step + i) * H;
            each_vector(H, [&](int64_t k, auto lanes) INLINE_LAMBDA {
                const Vec v = load(tile.dstates + i * H_row + k);
                store(to + k, piece->adds ? load(to + k, lanes) + v : v, lanes);
            });
        }
        product(H, Z, piece->count, {problem.states + piece->step * H, 1, H}, dz, Z, tile.dfolded, Z, false);
        float* const dq = gradients.dtargets + piece->row * H;
        for (int64_t k = 0; k < H; ++k) {
            const Vec q_k = broadcast(q[k]);
            Vec total{};
            for (int64_t unit = k * Z; unit < (k + 1) * Z; unit += LANES) {
                const Vec v = load(tile.dfolded + unit);
                store(dweight_state + unit, load(dweight_state + unit) + v);
                store(dweight_product + unit, load(dweight_product + unit) + q_k * v);
                total += v * load(packed.weight_product + unit);
            }
            dq[k] += sum(total);
        }
        float* const dbias = gradients.dbias + piece->row * W;
        each_vector(W, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            Vec total = load(dbias + unit, lanes);
            for (int64_t i = 0; i < piece->count; ++i) total += load(dz + i * Z + unit);
            store(dbias + unit, total, lanes);
        });
    }
}

constexpr Kernels table{scratch_floats, abreast_scratch, forward, forward_row, backward};

}  // namespace dien::ISA::attention
