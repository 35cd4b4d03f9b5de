// The C interface of the auxiliary network: checks the pairs and shares out tiles of them.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../interface.h"
#include "../parallel.h"
#include "../parts.h"
#include "../path.h"
#include "pack.h"

namespace dien::mlp {
namespace {

constexpr int64_t TILE = 48;  // pairs: whole blocks of rows, and what they need stays in the second cache
constexpr int64_t SMALL = 256;  // pairs not worth a second thread

bool fits(const Auxiliary& problem) {
    int64_t before = -1;
    for (int64_t i = 0; i < problem.pairs; ++i) {
        const int64_t now = problem.now[i];
        if (now <= before || now + problem.ahead >= problem.steps) return false;
        before = now;
    }
    return problem.ahead >= 0;
}

PackedAuxiliary pack(const Auxiliary& problem, int64_t lanes, Packer& packer) {
    const int64_t H = problem.hidden, D = problem.item, W = problem.tower.widths[0];
    PackedAuxiliary packed{};
    packed.tower = pack(problem.tower, lanes, packer);
    const int64_t Z = packed.tower.z[0];
    packed.of_state = packer.transposed(W, H, problem.weight, H + D, Z, problem.bias);
    packed.of_item = packer.transposed(W, D, problem.weight + H, H + D, Z);
    packed.back_state = packer.padded(W, H, problem.weight, H + D, whole(H, lanes));
    packed.back_item = packer.padded(W, D, problem.weight + H, H + D, whole(D, lanes));
    return packed;
}

// Zeros from the row after the last pair's to the last step.
void end_with_zeros(const Auxiliary& problem, int64_t ahead, int64_t width, float* gradient) {
    const int64_t after = problem.pairs ? problem.now[problem.pairs - 1] + ahead + 1 : 0;
    std::memset(gradient + after * width, 0, (problem.steps - after) * width * sizeof(float));
}

Status auxiliary(const Auxiliary& problem, const Path& path, int threads, Team team, float* logits,
                 const AuxiliaryGradients* gradients) {
    if (!fits(problem)) return does_not_fit;
    Packer count(nullptr);
    pack(problem, path.lanes, count);
    const Buffer weights(count.used);
    Packer packer(weights.get());
    const PackedAuxiliary packed = pack(problem, path.lanes, packer);

    const int64_t S = problem.pairs, H = problem.hidden, D = problem.item, W = packed.tower.width[0];
    const int64_t Z = packed.tower.z[0], first = (H + 1 + D) * Z;
    const int64_t tiles = (S + TILE - 1) / TILE, parts = std::min(tiles, PARTS);
    const Parts sums(gradients ? parts : 0, first + packed.tower.gradients);
    threads = S < SMALL ? 1 : std::max(threads, 1);
    const int64_t floats = path.mlp.auxiliary_scratch(problem, packed.tower, TILE);
    const Buffer scratch(threads * floats);
    parallel(team, threads, parts, [&](int64_t part, int worker) {
        for (int64_t tile = tiles * part / parts; tile < tiles * (part + 1) / parts; ++tile)
            path.mlp.auxiliary(problem, packed, tile * TILE, std::min(S, (tile + 1) * TILE), logits, gradients,
                               gradients ? sums.part(part) : nullptr, scratch.get() + worker * floats);
    });
    if (gradients) {
        end_with_zeros(problem, 0, H, gradients->states);
        end_with_zeros(problem, problem.ahead, D, gradients->items);
        end_with_zeros(problem, problem.ahead, D, gradients->negatives);
        const float* total = sums.total();
        transpose(H, W, total, Z, gradients->weight, H + D);
        transpose(D, W, total + (H + 1) * Z, Z, gradients->weight + H, H + D);
        std::memcpy(gradients->bias, total + H * Z, W * sizeof(float));
        unpack(packed.tower, total + first, gradients->tower);
    }
    return done;
}

}  // namespace
}  // namespace dien::mlp

// logits [2, S]; gradients may be null.
EXPORT int32_t dien_auxiliary(const dien::mlp::Auxiliary* problem, int32_t path, int32_t threads, dien::Team team,
                              float* logits, const dien::mlp::AuxiliaryGradients* gradients) {
    return dien::guarded([&] {
        return dien::mlp::auxiliary(*problem, *dien::paths[path], threads, team, logits, gradients);
    });
}
