// The C interface of matches: checks the arguments, and goes through each history once for all of its candidates.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "cpu/row.h"
#include "matches/problem.h"

namespace dien::matches {
namespace {

// Below this many values, about two milliseconds of one core, a second thread is not worth waking: batches are made
// beside a model that has the threads.
constexpr int64_t SMALL = 1'000'000;

// Up to so many candidates, it is faster to compare each with every behaviour than to look every behaviour up.
constexpr int64_t FEW = 8;

// Values of the candidates of one history, each with what was found of it; memory is kept for the next history.
class Values {
  public:
    struct Found {
        int64_t value = 0;  // 0 where nothing is
        int64_t count = 0, back = 0;
        int64_t first = -1;  // of the entries of candidates that have it
    };

    // Makes room for so many values, of which none is there.
    void clear(int64_t most) {
        int bits = 2;
        while ((int64_t{1} << bits) < 2 * most) ++bits;
        shift_ = 64 - bits;
        mask_ = (int64_t{1} << bits) - 1;
        found_.assign(mask_ + 1, Found{});
    }

    // Where a value is, or is to be.
    Found& at(int64_t value) {
        uint64_t place = static_cast<uint64_t>(value) * 0x9E3779B97F4A7C15u >> shift_;
        while (found_[place].value != value && found_[place].value != 0) place = (place + 1) & mask_;
        return found_[place];
    }

  private:
    std::vector<Found> found_;
    int shift_ = 0;
    int64_t mask_ = 0;
};

// Memory of a thread.
struct Scratch {
    struct Entry {
        int64_t candidate;  // of the history's
        int64_t next;       // entry of the same value, -1 at the end
    };
    Values values;
    std::vector<Entry> entries;
    std::vector<int64_t> counted;  // of each candidate, the step that it has counted last
};

// Behaviours from begin to end, and a few candidates with one value each.
void compare_values(const Problem& problem, Range history, const int64_t* candidates, int64_t n) {
    const int64_t* const behaviour = problem.history.value;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t candidate = candidates[i], value = problem.target.value[candidate];
        int64_t count = 0, newest = history.end;
        for (int64_t step = history.begin; step < history.end; ++step) count += behaviour[step] == value;
        if (value == 0) count = 0;
        if (count)
            while (behaviour[--newest] != value) {
            }
        problem.count[candidate] = count;
        problem.back[candidate] = history.end - newest;
    }
}

// The same, of any number of candidates.
void search_values(const Problem& problem, Range history, const int64_t* candidates, int64_t n, Scratch& scratch) {
    Values& values = scratch.values;
    values.clear(n);
    for (int64_t i = 0; i < n; ++i)
        if (const int64_t value = problem.target.value[candidates[i]]) values.at(value).value = value;
    for (int64_t step = history.end; step-- > history.begin;) {
        const int64_t value = problem.history.value[step];
        if (!value) continue;
        Values::Found& found = values.at(value);
        if (!found.value) continue;
        if (!found.count++) found.back = history.end - step;
    }
    for (int64_t i = 0; i < n; ++i) {
        const int64_t candidate = candidates[i], value = problem.target.value[candidate];
        const Values::Found found = value ? values.at(value) : Values::Found{};
        problem.count[candidate] = found.count;
        problem.back[candidate] = found.back;
    }
}

// The same with lists of values: a behaviour counts once for a candidate, however many values both have.
void search_lists(const Problem& problem, Range history, const int64_t* candidates, int64_t n, Scratch& scratch) {
    Values& values = scratch.values;
    int64_t most = 0;
    for (int64_t i = 0; i < n; ++i)
        most += problem.target.begin(candidates[i] + 1) - problem.target.begin(candidates[i]);
    values.clear(most);
    scratch.entries.clear();
    scratch.counted.assign(n, -1);
    for (int64_t i = 0; i < n; ++i) {
        problem.count[candidates[i]] = problem.back[candidates[i]] = 0;
        for (int64_t k = problem.target.begin(candidates[i]); k < problem.target.begin(candidates[i] + 1); ++k) {
            const int64_t value = problem.target.value[k];
            if (!value) continue;
            Values::Found& found = values.at(value);
            found.value = value;
            scratch.entries.push_back({i, found.first});
            found.first = static_cast<int64_t>(scratch.entries.size()) - 1;
        }
    }
    for (int64_t step = history.end; step-- > history.begin;)
        for (int64_t k = problem.history.begin(step); k < problem.history.begin(step + 1); ++k) {
            const int64_t value = problem.history.value[k];
            if (!value) continue;
            for (int64_t at = values.at(value).first; at >= 0; at = scratch.entries[at].next) {
                const int64_t i = scratch.entries[at].candidate, candidate = candidates[i];
                if (std::exchange(scratch.counted[i], step) == step) continue;
                if (!problem.count[candidate]++) problem.back[candidate] = history.end - step;
            }
        }
}

// Whether offsets rise from 0 to the end.
bool rise(const int64_t* offsets, int64_t n, int64_t end) {
    bool good = offsets[0] == 0 && offsets[n] == end;
    for (int64_t i = 0; i < n; ++i) good &= offsets[i] <= offsets[i + 1];
    return good;
}

bool rise(const Lists& lists) { return !lists.offsets || rise(lists.offsets, lists.lists, lists.values); }

Status search(const Problem& problem, const Machine& machine) {
    const int64_t R = problem.histories, B = problem.target.lists;
    if (!rise(problem.offsets, R, problem.history.lists) || !rise(problem.history) || !rise(problem.target))
        return mismatch;
    // Candidates by history, in their order.
    std::vector<int64_t> begin(R + 2, 0), candidates(B);
    for (int64_t b = 0; b < B; ++b) {
        if (static_cast<uint64_t>(problem.history_of[b]) >= static_cast<uint64_t>(R)) return mismatch;
        ++begin[problem.history_of[b] + 2];
    }
    for (int64_t r = 0; r < R; ++r) begin[r + 2] += begin[r + 1];
    for (int64_t b = 0; b < B; ++b) candidates[begin[problem.history_of[b] + 1]++] = b;

    const int threads = machine.threads_for(problem.history.values + problem.target.values, SMALL);
    std::vector<Scratch> scratch(threads);
    const bool lists = problem.history.offsets || problem.target.offsets;
    parallel(machine.pool, threads, R, [&](int64_t r, int worker) {
        const Range history{problem.offsets[r], problem.offsets[r + 1]};
        const int64_t n = begin[r + 1] - begin[r];
        const int64_t* const own = candidates.data() + begin[r];
        if (lists)
            search_lists(problem, history, own, n, scratch[worker]);
        else if (n <= FEW)
            compare_values(problem, history, own, n);
        else
            search_values(problem, history, own, n, scratch[worker]);
    });
    return done;
}

}  // namespace
}  // namespace dien::matches

// What cpu.py calls.

EXPORT int32_t dien_matches(const dien::matches::Problem* problem, int32_t isa, int32_t threads,
                            dien::ThreadPool pool) {
    return dien::guarded([&] { return dien::matches::search(*problem, {isa, threads, pool}); });
}
