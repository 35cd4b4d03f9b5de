// Entries in the order of their rows.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "rows/problem.h"

namespace dien::rows {

// Sorts by row, all of which are below `height`; entries of one row keep their order. A radix sort: as many passes
// over the entries as it takes to have the digits of a row in at most 12 bits each, and nothing as large as the table.
inline void sort_by_row(std::vector<Entry>& entries, int64_t height) {
    int bits = 0;
    while (bits < 63 && (height - 1) >> bits) ++bits;
    const int passes = (bits + 11) / 12;
    if (passes == 0 || entries.size() < 2) return;
    const int digit = (bits + passes - 1) / passes;
    const int64_t mask = (int64_t{1} << digit) - 1;
    std::vector<Entry> other(entries.size());
    std::array<int64_t, 1 << 12> next;  // where the next entry of a digit goes
    for (int shift = 0; shift < bits; shift += digit) {
        std::fill_n(next.begin(), mask + 1, 0);
        for (const Entry& entry : entries) ++next[entry.row >> shift & mask];
        int64_t before = 0;
        for (int64_t d = 0; d <= mask; ++d) before += std::exchange(next[d], before);
        for (const Entry& entry : entries) other[next[entry.row >> shift & mask]++] = entry;
        entries.swap(other);
    }
}

}  // namespace dien::rows
