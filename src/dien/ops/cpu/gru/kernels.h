// The kernels of one path for every kind, as a table.
#pragma once

#include "backward.h"
#include "forward.h"

namespace dien::PATH::gru {

using namespace dien::gru;

void forward_of_kind(const Problem& problem, const Weights& weights, const Row* rows, int64_t count, float* last,
                     float* states, float* scratch) {
    switch (problem.kind) {
        case Kind::gru: return forward<Kind::gru>(problem, weights, rows, count, last, states, scratch);
        case Kind::agru: return forward<Kind::agru>(problem, weights, rows, count, last, states, scratch);
        case Kind::augru: return forward<Kind::augru>(problem, weights, rows, count, last, states, scratch);
        case Kind::augru_complement:
            return forward<Kind::augru_complement>(problem, weights, rows, count, last, states, scratch);
    }
}

void backward_of_kind(const Problem& problem, const Weights& weights, const Row* rows, int64_t count,
                      const Gradients& gradients, float* weight, float* scratch) {
    switch (problem.kind) {
        case Kind::gru: return backward<Kind::gru>(problem, weights, rows, count, gradients, weight, scratch);
        case Kind::agru: return backward<Kind::agru>(problem, weights, rows, count, gradients, weight, scratch);
        case Kind::augru: return backward<Kind::augru>(problem, weights, rows, count, gradients, weight, scratch);
        case Kind::augru_complement:
            return backward<Kind::augru_complement>(problem, weights, rows, count, gradients, weight, scratch);
    }
}

constexpr Kernels table{forward_scratch, backward_scratch, forward_of_kind, backward_of_kind};

}  // namespace dien::PATH::gru
