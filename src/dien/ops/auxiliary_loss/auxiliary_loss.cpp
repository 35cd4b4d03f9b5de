// The C interface of the auxiliary network: checks the steps and shares out tiles of them.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "cpu/parts.h"
#include "mlp/pack.h"

namespace dien::auxiliary {
namespace {

constexpr int64_t TILE = 48;    // states: whole blocks of rows, and what they need stays in the second cache
constexpr int64_t SMALL = 256;  // states not worth a second thread

bool fits(const Problem& problem) {
    if (problem.ahead < 0) return false;
    int64_t before = -1;
    for (int64_t i = 0; i < problem.count; ++i) {
        const int64_t now = problem.now[i];
        if (now <= before || now >= problem.steps || problem.ahead >= problem.steps - now) return false;
        before = now;
    }
    return true;
}

Packed pack(const Problem& problem, int64_t lanes, mlp::Packer& packer) {
    const int64_t H = problem.hidden, D = problem.item, W = problem.tail.widths[0];
    Packed packed{};
    packed.tail = mlp::pack(problem.tail, lanes, packer);
    const int64_t Z = packed.tail.z[0];
    packed.weight_state = packer.transposed(W, H, problem.weight, H + D, Z, problem.bias);
    packed.weight_item = packer.transposed(W, D, problem.weight + H, H + D, Z);
    packed.backward_state = packer.padded(W, H, problem.weight, H + D, whole(H, lanes));
    packed.backward_item = packer.padded(W, D, problem.weight + H, H + D, whole(D, lanes));
    return packed;
}

// Zeros from the row after the last one's to the last step.
void end_with_zeros(const Problem& problem, int64_t ahead, int64_t width, float* gradient) {
    const int64_t after = problem.count ? problem.now[problem.count - 1] + ahead + 1 : 0;
    std::fill_n(gradient + after * width, (problem.steps - after) * width, 0.0f);
}

Status run(const Problem& problem, const Machine& machine, float* logits, const Gradients* gradients) {
    if (!fits(problem)) return mismatch;
    mlp::Packer count(nullptr);
    pack(problem, machine.isa.lanes, count);
    const Buffer weights(count.used);
    mlp::Packer packer(weights.get());
    const Packed packed = pack(problem, machine.isa.lanes, packer);

    const int64_t S = problem.count, H = problem.hidden, D = problem.item, W = packed.tail.width[0];
    const int64_t Z = packed.tail.z[0], first = (H + 1 + D) * Z;
    const int64_t tiles = divided(S, TILE), parts = std::min(tiles, PARTS);
    const Parts sums(gradients ? parts : 0, first + packed.tail.gradients);
    const int threads = machine.threads_for(S, SMALL);
    const int64_t floats = machine.isa.auxiliary.scratch(problem, packed.tail, TILE);
    const Buffer scratch(threads * floats);
    parallel(machine.pool, threads, parts, [&](int64_t part, int worker) {
        for (int64_t tile = tiles * part / parts; tile < tiles * (part + 1) / parts; ++tile)
            machine.isa.auxiliary.run(problem, packed, tile * TILE, std::min(S, (tile + 1) * TILE), logits, gradients,
                                      gradients ? sums.part(part) : nullptr, scratch.get() + worker * floats);
    });
    if (gradients) {
        end_with_zeros(problem, 0, H, gradients->dstates);
        end_with_zeros(problem, problem.ahead, D, gradients->ditems);
        end_with_zeros(problem, problem.ahead, D, gradients->dnegatives);
        const float* total = sums.total();
        transpose(H, W, total, Z, gradients->dweight, H + D);
        transpose(D, W, total + (H + 1) * Z, Z, gradients->dweight + H, H + D);
        std::memcpy(gradients->dbias, total + H * Z, W * sizeof(float));
        mlp::unpack(packed.tail, total + first, gradients->tail);
    }
    return done;
}

}  // namespace
}  // namespace dien::auxiliary

// logits [2, S]; gradients may be null.
EXPORT int32_t dien_auxiliary(const dien::auxiliary::Problem* problem, int32_t isa, int32_t threads,
                              dien::ThreadPool pool, float* logits, const dien::auxiliary::Gradients* gradients) {
    return dien::guarded([&] { return dien::auxiliary::run(*problem, {isa, threads, pool}, logits, gradients); });
}
