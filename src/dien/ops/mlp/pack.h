// Weights as the kernels read them, and gradients as the callers want them.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/interface.h"
#include "mlp/problem.h"

namespace dien::mlp {

// Hands out a buffer's parts, zeroed. To know the size, pack once without a buffer.
class Packer {
  public:
    explicit Packer(float* to) : to_(to) {}

    // [columns, row]: the transpose of `from` [rows, columns], over `under` [rows] where there is one
    const float* transposed(int64_t rows, int64_t columns, const float* from, int64_t from_row, int64_t row,
                            const float* under = nullptr) {
        float* const p = take((columns + (under != nullptr)) * row);
        if (p) {
            transpose(rows, columns, from, from_row, p, row);
            if (under) std::memcpy(p + columns * row, under, rows * sizeof(float));
        }
        return p;
    }

    // [rows, row]: `from` [rows, columns]
    const float* padded(int64_t rows, int64_t columns, const float* from, int64_t from_row, int64_t row) {
        float* const p = take(rows * row);
        if (p)
            for (int64_t i = 0; i < rows; ++i) std::memcpy(p + i * row, from + i * from_row, columns * sizeof(float));
        return p;
    }

    int64_t used = 0;

  private:
    float* take(int64_t floats) {
        float* const p = to_ ? to_ + used : nullptr;
        if (p) std::memset(p, 0, floats * sizeof(float));
        used += whole(floats, 16);
        return p;
    }
    float* to_;
};

inline PackedTail pack(const Tail& tail, int64_t lanes, Packer& packer) {
    PackedTail packed{};
    const int last = tail.layers - 1;
    packed.activation = tail.activation;
    packed.layers = tail.layers;
    int64_t at = 0;
    const auto place = [&](int64_t floats) {
        const int64_t begin = at;
        at += floats;
        return begin;
    };
    for (int l = 0; l < tail.layers; ++l) {
        const int64_t width = packed.width[l] = tail.widths[l];
        const int64_t z = packed.z[l] = whole(width, lanes);
        packed.a[l] = whole(width + 1, lanes);
        if (tail.activation == Activation::prelu) {
            packed.slopes[l] = packer.padded(1, width, tail.slopes[l], width, z);
            packed.dslopes[l] = place(z);
        }
        if (l > 0) {
            const int64_t before = tail.widths[l - 1];
            packed.forward[l] = packer.transposed(width, before, tail.weights[l - 1], before, z, tail.biases[l - 1]);
            packed.backward[l] = packer.padded(width, before, tail.weights[l - 1], before, packed.z[l - 1]);
            packed.dlayers[l] = place((before + 1) * z);
        }
    }
    packed.last = packer.padded(1, packed.width[last], tail.weights[last], packed.width[last], packed.z[last]);
    packed.last_bias = *tail.biases[last];
    packed.dlast = place(packed.z[last]);
    packed.dlast_bias = place(lanes);
    packed.gradients = at;
    return packed;
}

inline void unpack(const PackedTail& packed, const float* from, const TailGradients& to) {
    const int last = packed.layers - 1;
    const auto copy = [&](int64_t begin, int64_t floats, float* p) {
        std::memcpy(p, from + begin, floats * sizeof(float));
    };
    for (int l = 0; l < packed.layers; ++l) {
        if (packed.activation == Activation::prelu) copy(packed.dslopes[l], packed.width[l], to.dslopes[l]);
        if (l > 0) {
            const int64_t before = packed.width[l - 1], width = packed.width[l], z = packed.z[l];
            transpose(before, width, from + packed.dlayers[l], z, to.dweights[l - 1], before);
            copy(packed.dlayers[l] + before * z, width, to.dbiases[l - 1]);
        }
    }
    copy(packed.dlast, packed.width[last], to.dweights[last]);
    copy(packed.dlast_bias, 1, to.dbiases[last]);
}

}  // namespace dien::mlp
