// A linear layer of a tile of rows, and its gradient, as a table.
#pragma once

#include "cpu/product.h"
#include "linear/problem.h"

namespace dien::ISA::linear {

using namespace dien::linear;

void forward(const Problem& problem, const float* packed, int64_t begin, int64_t end, float* y) {
    const int64_t M = problem.outputs;
    product(end - begin, M, problem.inputs, {problem.x + begin * problem.x_stride, problem.x_stride, 1}, packed,
            in_vectors(M), y + begin * M, M, false, problem.bias);
}

void backward(const Problem& problem, const float* packed, const Gradients& gradients, int64_t begin, int64_t end,
              float* part) {
    const int64_t K = problem.inputs, M = problem.outputs, M_row = in_vectors(M), rows = end - begin;
    const float* const dy = gradients.dy + begin * gradients.dy_stride;
    if (gradients.dx)
        product(rows, K, M, {dy, gradients.dy_stride, 1}, packed, in_vectors(K), gradients.dx + begin * K, K, false);
    if (gradients.dweight)
        product(K, M, rows, {problem.x + begin * problem.x_stride, 1, problem.x_stride}, dy, gradients.dy_stride, part,
                M_row, true);
    if (gradients.dbias) {
        const float one = 1.0f;
        product(1, M, rows, {&one, 0, 0}, dy, gradients.dy_stride, part + K * M_row, M_row, true);
    }
}

constexpr Kernels table{forward, backward};

}  // namespace dien::ISA::linear
