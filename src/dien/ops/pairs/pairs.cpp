// The C interface of the operators on pairs: checks the rows and shares them out.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "cpu/parts.h"
#include "cpu/schedule.h"

namespace dien::pairs {
namespace {

constexpr int64_t TILE = 16;  // rows a thread takes at a time
// Below this many multiplications, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 200'000;

int threads_for(const Problem& problem, const Machine& machine) {
    return machine.threads_for(problem.pairs * problem.width, SMALL);
}

// For operators whose rows write each to a place of its own.
template <class Kernel>
Status each_row(const Problem& problem, const Machine& machine, Kernel kernel, float* found) {
    Rows rows;
    if (!read_rows(problem, rows)) return mismatch;
    parallel(machine.pool, threads_for(problem, machine), divided(problem.rows, TILE), [&](int64_t tile, int) {
        kernel(problem, rows.data() + tile * TILE, rows.data() + std::min(problem.rows, (tile + 1) * TILE), found);
    });
    return done;
}

Status scatter(const Problem& problem, const Machine& machine, float* found) {
    Rows read;
    if (!read_rows(problem, read)) return mismatch;
    if (!problem.width) return done;
    // Rows that read common steps run on one thread, one after the other.
    const BackwardSchedule schedule(std::move(read), TILE, PARTS, found, problem.steps, problem.width);
    const int64_t parts = static_cast<int64_t>(schedule.parts.size());
    parallel(machine.pool, threads_for(problem, machine), parts, [&](int64_t part, int) {
        for (int64_t i = schedule.parts[part].begin; i < schedule.parts[part].end; ++i) {
            const Row* const rows = schedule.rows.data();
            machine.isa.pairs.scatter(problem, rows + schedule.tiles[i].begin, rows + schedule.tiles[i].end, found);
        }
    });
    return done;
}

}  // namespace
}  // namespace dien::pairs

// found [P]
EXPORT int32_t dien_pair_products(const dien::pairs::Problem* problem, int32_t isa, int32_t threads,
                                  dien::ThreadPool pool, float* found) {
    return dien::guarded([&] {
        const dien::Machine machine(isa, threads, pool);
        return dien::pairs::each_row(*problem, machine, machine.isa.pairs.products, found);
    });
}

// found [B, H]
EXPORT int32_t dien_pair_sums(const dien::pairs::Problem* problem, int32_t isa, int32_t threads, dien::ThreadPool pool,
                              float* found) {
    return dien::guarded([&] {
        const dien::Machine machine(isa, threads, pool);
        return dien::pairs::each_row(*problem, machine, machine.isa.pairs.sums, found);
    });
}

// found [N, H]
EXPORT int32_t dien_pair_scatter(const dien::pairs::Problem* problem, int32_t isa, int32_t threads,
                                 dien::ThreadPool pool, float* found) {
    return dien::guarded([&] { return dien::pairs::scatter(*problem, {isa, threads, pool}, found); });
}
