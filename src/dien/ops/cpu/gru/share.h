// How each kind mixes the candidate n into the state: h = (1 - g) h + g n, u the update gate and a the score.
#pragma once

#include "problem.h"
#include "../vec.h"

namespace dien::PATH::gru {

using namespace dien::gru;

template <Kind kind>
INLINE Vec new_share(Vec u, Vec a) {  // g
    if constexpr (kind == Kind::gru) return 1.0f - u;
    if constexpr (kind == Kind::agru) return a;
    if constexpr (kind == Kind::augru) return a * u;
    if constexpr (kind == Kind::augru_complement) return 1.0f - (1.0f - a) * u;
}

template <Kind kind>
INLINE Vec share_by_update(Vec a) {  // dg / du
    if constexpr (kind == Kind::gru) return broadcast(-1.0f);
    if constexpr (kind == Kind::agru) return Vec{};
    if constexpr (kind == Kind::augru) return a;
    if constexpr (kind == Kind::augru_complement) return a - 1.0f;
}

template <Kind kind>
INLINE Vec share_by_score(Vec u) {  // dg / da
    return kind == Kind::agru ? broadcast(1.0f) : u;
}

}  // namespace dien::PATH::gru
