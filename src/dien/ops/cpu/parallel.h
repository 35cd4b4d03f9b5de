// Work shared out to the threads PyTorch already has: a second pool would fight them for the processors.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace dien {

// GOMP_parallel of the OpenMP library PyTorch runs on: calls work(data) in that many threads of its pool.
using ThreadPool = void (*)(void (*work)(void*), void* data, unsigned threads, unsigned flags);

// Calls f(item, worker) for every item, 0 <= worker < threads; a worker takes the next item when it is done
// with one. Where PyTorch runs on another library there is no such function, and threads live for this call only.
template <class F>
void parallel(ThreadPool pool, int threads, int64_t items, F f) {
    struct Shared {
        F& f;
        int64_t items;
        std::atomic<int64_t> next{0};
        std::atomic<int> workers{0};
    } shared{f, items};
    const auto work = [](void* data) {
        Shared& shared = *static_cast<Shared*>(data);
        const int worker = shared.workers++;
        for (int64_t item; (item = shared.next++) < shared.items;) shared.f(item, worker);
    };
    if (threads > items) threads = static_cast<int>(items);
    if (threads <= 1) {
        work(&shared);
    } else if (pool) {
        pool(work, &shared, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) others.emplace_back(static_cast<void (*)(void*)>(work), &shared);
        work(&shared);
        for (std::thread& other : others) other.join();
    }
}

}  // namespace dien
