// The C interface of the operators on rows: checks the indices, chooses the instructions and shares out the rows.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "rows/sort.h"

namespace dien::rows {
namespace {

constexpr int64_t TILE = 128;  // rows a thread takes at a time
// Below this many floats, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 100'000;
constexpr int64_t DECAYS = 1024;  // powers of beta worked out once

int64_t floats_of(const Problem& problem) {
    int64_t floats = 0;
    for (int64_t b = 0; b < problem.blocks; ++b)
        floats += problem.block[b].count * problem.table[problem.block[b].table].width;
    return floats;
}

bool in_range(const int64_t* indices, int64_t begin, int64_t end, int64_t height) {
    bool good = true;
    for (int64_t i = begin; i < end; ++i) good &= static_cast<uint64_t>(indices[i]) < static_cast<uint64_t>(height);
    return good;
}

Status gather(const Problem& problem, const Machine& machine) {
    int64_t longest = 0;
    for (int64_t b = 0; b < problem.blocks; ++b) longest = std::max(longest, problem.block[b].count);
    std::atomic<bool> good{true};
    // Blocks side by side lie in the same lines of memory: one thread writes the rows of all.
    const int threads = machine.threads_for(floats_of(problem), SMALL);
    parallel(machine.pool, threads, divided(longest, TILE), [&](int64_t tile, int) {
        for (int64_t b = 0; b < problem.blocks; ++b) {
            const Block& block = problem.block[b];
            const int64_t begin = tile * TILE, end = std::min(begin + TILE, block.count);
            const Table& table = problem.table[block.table];
            if (in_range(block.indices, begin, end, table.rows))
                machine.isa.rows.gather(table, block, begin, end);
            else
                good = false;
        }
    });
    return good ? done : mismatch;
}

// All entries of a table by row, false where an index is out of range.
bool entries_of(const Problem& problem, int64_t table, std::vector<Entry>& entries) {
    for (int64_t b = 0; b < problem.blocks; ++b) {
        const Block& block = problem.block[b];
        if (block.table != table) continue;
        if (!in_range(block.indices, 0, block.count, problem.table[table].rows)) return false;
        for (int64_t i = 0; i < block.count; ++i)
            entries.push_back({block.indices[i], block.values + i * block.stride});
    }
    sort_by_row(entries, problem.table[table].rows);
    return true;
}

Status sum(const Problem& problem, const Machine& machine, Sums* sums) {
    const int threads = machine.threads_for(floats_of(problem), SMALL);
    std::vector<std::vector<Entry>> entries(problem.tables);
    for (int64_t b = 0; b < problem.blocks; ++b) {
        std::vector<Entry>& of_table = entries[problem.block[b].table];
        of_table.reserve(of_table.capacity() + problem.block[b].count);
    }
    std::atomic<bool> good{true};
    parallel(machine.pool, threads, problem.tables, [&](int64_t table, int) {
        if (!entries_of(problem, table, entries[table])) good = false;
    });
    if (!good) return mismatch;

    // Ranges that no row is cut by, and the sums that stand before each.
    struct Range {
        int64_t table, begin, end, before;
    };
    std::vector<Range> ranges;
    for (int64_t table = 0; table < problem.tables; ++table) {
        const std::vector<Entry>& of_table = entries[table];
        const int64_t size = static_cast<int64_t>(of_table.size());
        sums[table].count = 0;
        for (int64_t begin = 0, end; begin < size; begin = end) {
            const int64_t before = sums[table].count;
            for (end = begin; end < size && (end < begin + TILE || of_table[end].row == of_table[end - 1].row); ++end)
                sums[table].count += end == begin || of_table[end].row != of_table[end - 1].row;
            ranges.push_back({table, begin, end, before});
        }
    }
    parallel(machine.pool, threads, static_cast<int64_t>(ranges.size()), [&](int64_t i, int) {
        const Range& range = ranges[i];
        const int64_t width = problem.table[range.table].width;
        machine.isa.rows.sum(entries[range.table].data() + range.begin, entries[range.table].data() + range.end, width,
                             sums[range.table].rows + range.before, sums[range.table].values + range.before * width);
    });
    return done;
}

// beta ** k, kept from one step to the next.
class Powers {
  public:
    const float* of(double beta) {
        if (beta != beta_ || all_.empty()) {
            all_.resize(DECAYS);
            double power = 1;
            for (float& one : all_) {
                one = static_cast<float>(power);
                power *= beta;
            }
            beta_ = beta;
        }
        return all_.data();
    }

  private:
    double beta_ = 0;
    std::vector<float> all_;
};

// Whether no row is named twice; rows that rise, as sum_by_row gives them, cost one pass.
bool distinct(const int64_t* rows, int64_t count) {
    if (std::adjacent_find(rows, rows + count, std::greater_equal<int64_t>()) == rows + count) return true;
    std::vector<int64_t> sorted(rows, rows + count);
    std::sort(sorted.begin(), sorted.end());
    return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
}

// Whether each row was last touched in a step of the past.
bool touched_before(const Adam& step) {
    bool good = true;
    for (int64_t i = 0; i < step.count; ++i) {
        const int32_t touched = step.touched[step.rows[i]];
        good &= touched >= 0 && touched <= step.step;
    }
    return good;
}

Status adam(const Adam& step, const Machine& machine) {
    if (!in_range(step.rows, 0, step.count, step.height)) return mismatch;
    if (!distinct(step.rows, step.count) || !touched_before(step)) return mismatch;
    thread_local Powers decay1, decay2;
    const Rates rates{
        decay1.of(step.beta1),
        decay2.of(step.beta2),
        DECAYS,
        static_cast<float>(1 - step.beta1),
        static_cast<float>(1 - step.beta2),
        static_cast<float>(1 - std::pow(step.beta2, step.step)),
        static_cast<float>(-step.lr / (1 - std::pow(step.beta1, step.step))),
        static_cast<float>(step.eps),
    };
    const int threads = machine.threads_for(4 * step.count * step.width, SMALL);
    parallel(machine.pool, threads, divided(step.count, TILE), [&](int64_t tile, int) {
        machine.isa.rows.adam(step, rates, tile * TILE, std::min(step.count, (tile + 1) * TILE));
    });
    return done;
}

}  // namespace
}  // namespace dien::rows

// What cpu.py calls.

// Writes the values of every block.
EXPORT int32_t dien_rows_gather(const dien::rows::Problem* problem, int32_t isa, int32_t threads,
                                dien::ThreadPool pool) {
    return dien::guarded([&] { return dien::rows::gather(*problem, {isa, threads, pool}); });
}

// Writes sums [tables] of what the blocks hold.
EXPORT int32_t dien_rows_sum(const dien::rows::Problem* problem, int32_t isa, int32_t threads, dien::ThreadPool pool,
                             dien::rows::Sums* sums) {
    return dien::guarded([&] { return dien::rows::sum(*problem, {isa, threads, pool}, sums); });
}

EXPORT int32_t dien_rows_adam(const dien::rows::Adam* step, int32_t isa, int32_t threads, dien::ThreadPool pool) {
    return dien::guarded([&] { return dien::rows::adam(*step, {isa, threads, pool}); });
}
