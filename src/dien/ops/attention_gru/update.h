// The update gate under attention: h = (1 - g) h + g n, with the update gate u, the score a and the candidate n.
#pragma once

#include "attention_gru/problem.h"
#include "cpu/vec.h"

namespace dien::ISA::gru {

using namespace dien::gru;

template <Kind kind>
INLINE Vec attentional_update(Vec u, Vec a) {  // g
    if constexpr (kind == Kind::gru) return 1.0f - u;
    if constexpr (kind == Kind::agru) return a;
    if constexpr (kind == Kind::augru) return a * u;
    if constexpr (kind == Kind::augru_complement) return 1.0f - (1.0f - a) * u;
}

template <Kind kind>
INLINE Vec dupdate_du(Vec a) {  // dg / du
    if constexpr (kind == Kind::gru) return broadcast(-1.0f);
    if constexpr (kind == Kind::agru) return Vec{};
    if constexpr (kind == Kind::augru) return a;
    if constexpr (kind == Kind::augru_complement) return a - 1.0f;
}

template <Kind kind>
INLINE Vec dupdate_da(Vec u) {  // dg / da
    return kind == Kind::agru ? broadcast(1.0f) : u;
}

}  // namespace dien::ISA::gru
