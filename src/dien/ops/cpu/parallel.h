// Work shared out to the threads PyTorch already has: a second pool would fight them for the processors.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace dien {

// GOMP_parallel of the OpenMP library PyTorch runs on: calls work(data) in that many threads of its pool.
using ThreadPool = void (*)(void (*work)(void*), void* data, unsigned threads, unsigned flags);

// Calls f(item, worker) for every item, 0 <= worker < threads; a worker takes the next item when it is done
// with one. Where PyTorch runs on another library there is no such function, and threads live for this call only.
// What f throws, as for want of memory, ends the work of all and is thrown here: no exception leaves a thread.
template <class F>
void parallel(ThreadPool pool, int threads, int64_t items, F f) {
    struct Shared {
        F& f;
        int64_t items;
        std::atomic<int64_t> next{0};
        std::atomic<int> workers{0};
        std::atomic<bool> failed{false};
        std::exception_ptr error{};
    } shared{f, items};
    const auto work = [](void* data) {
        Shared& shared = *static_cast<Shared*>(data);
        const int worker = shared.workers++;
        try {
            for (int64_t item; !shared.failed && (item = shared.next++) < shared.items;) shared.f(item, worker);
        } catch (...) {
            if (!shared.failed.exchange(true)) shared.error = std::current_exception();
        }
    };
    if (threads > items) threads = static_cast<int>(items);
    if (threads <= 1) {
        work(&shared);
    } else if (pool) {
        pool(work, &shared, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        others.reserve(threads - 1);
        try {
            for (int i = 1; i < threads; ++i) others.emplace_back(static_cast<void (*)(void*)>(work), &shared);
        } catch (const std::system_error&) {
            // No more threads can be had: those that run do the work.
        }
        work(&shared);
        for (std::thread& other : others) other.join();
    }
    if (shared.error) std::rethrow_exception(shared.error);
}

}  // namespace dien
