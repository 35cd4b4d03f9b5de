// The C interface of the softmax over rows: checks the lengths and shares out the rows.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/interface.h"
#include "cpu/machine.h"

namespace dien::segment {
namespace {

constexpr int64_t TILE = 64;  // rows a thread takes at a time
// Below this many steps, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 50'000;

// Finds where each row begins and the last ends; false where lengths do not fit.
bool read_offsets(const Problem& problem, std::vector<int64_t>& offsets) {
    offsets.resize(problem.rows + 1);
    int64_t end = 0;
    for (int64_t b = 0; b < problem.rows; ++b) {
        const int64_t length = problem.lengths[b];
        if (length < 0 || length > problem.steps - end) return false;
        end += length;
        offsets[b + 1] = end;
    }
    return end == problem.steps;
}

// Calls f(first step, length) for each row.
template <class F>
Status each_row(const Problem& problem, const Machine& machine, F f) {
    std::vector<int64_t> offsets;
    if (!read_offsets(problem, offsets)) return mismatch;
    const int threads = machine.threads_for(problem.steps, SMALL);
    parallel(machine.pool, threads, divided(problem.rows, TILE), [&](int64_t tile, int) {
        for (int64_t b = tile * TILE; b < std::min(problem.rows, (tile + 1) * TILE); ++b)
            if (offsets[b] < offsets[b + 1]) f(offsets[b], offsets[b + 1] - offsets[b]);
    });
    return done;
}

}  // namespace
}  // namespace dien::segment

// scores [P]
EXPORT int32_t dien_segment_softmax(const dien::segment::Problem* problem, int32_t isa, int32_t threads,
                                    dien::ThreadPool pool, float* scores) {
    return dien::guarded([&] {
        const dien::Machine machine(isa, threads, pool);
        return dien::segment::each_row(*problem, machine, [&](int64_t first, int64_t length) {
            machine.isa.segment.softmax(length, problem->values + first, scores + first);
        });
    });
}

// dscores and dlogits [P]
EXPORT int32_t dien_segment_softmax_backward(const dien::segment::Problem* problem, int32_t isa, int32_t threads,
                                             dien::ThreadPool pool, const float* dscores, float* dlogits) {
    return dien::guarded([&] {
        const dien::Machine machine(isa, threads, pool);
        return dien::segment::each_row(*problem, machine, [&](int64_t first, int64_t length) {
            machine.isa.segment.backward(length, problem->values + first, dscores + first, dlogits + first);
        });
    });
}
