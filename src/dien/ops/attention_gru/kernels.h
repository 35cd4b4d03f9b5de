// The kernels for every kind, as a table.
#pragma once

#include <type_traits>

#include "attention_gru/backward.h"
#include "attention_gru/forward.h"

namespace dien::ISA::gru {

// Calls f with the kind, and whether x is given, as compile-time constants.
template <class F>
INLINE void with_kind(const Problem& problem, F f) {
    const auto with_source = [&](auto kind) {
        problem.projects ? f(kind, std::true_type{}) : f(kind, std::false_type{});
    };
    switch (problem.kind) {
        case Kind::gru: return with_source(std::integral_constant<Kind, Kind::gru>{});
        case Kind::agru: return with_source(std::integral_constant<Kind, Kind::agru>{});
        case Kind::augru: return with_source(std::integral_constant<Kind, Kind::augru>{});
        case Kind::augru_complement: return with_source(std::integral_constant<Kind, Kind::augru_complement>{});
    }
}

void forward_of_kind(const Problem& problem, const Weights& weights, const Row* rows, int64_t count,
                     const Results& results, float* scratch) {
    with_kind(problem, [&](auto kind, auto projects) {
        forward<decltype(kind)::value, decltype(projects)::value>(problem, weights, rows, count, results, scratch);
    });
}

void backward_of_kind(const Problem& problem, const Weights& weights, const Row* rows, int64_t count,
                      const Gradients& gradients, float* part, float* scratch) {
    with_kind(problem, [&](auto kind, auto projects) {
        backward<decltype(kind)::value, decltype(projects)::value>(problem, weights, rows, count, gradients, part,
                                                                   scratch);
    });
}

constexpr Kernels table{forward_scratch, backward_scratch, forward_of_kind, backward_of_kind};

}  // namespace dien::ISA::gru
