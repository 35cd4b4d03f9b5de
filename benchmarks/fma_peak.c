/* Fused multiply-adds on registers alone: the most that one core can do. */
#if defined(__AVX512F__)
typedef float vec __attribute__((vector_size(64)));
enum { CHAINS = 24 }; /* more than latency times units, fewer than registers */
#elif defined(__AVX__)
typedef float vec __attribute__((vector_size(32)));
enum { CHAINS = 12 };
#else
typedef float vec __attribute__((vector_size(16)));
enum { CHAINS = 12 };
#endif

/* Returns the floating-point operations done; *sink keeps them from being optimised away. */
double fma_peak(long rounds, float *sink) {
    vec total[CHAINS], factor, addend;
    for (unsigned i = 0; i < sizeof(vec) / sizeof(float); ++i) factor[i] = 0.5f, addend[i] = *sink;
#pragma GCC unroll 24
    for (int c = 0; c < CHAINS; ++c) total[c] = addend * (float)c;
    for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
        for (int c = 0; c < CHAINS; ++c) total[c] = total[c] * factor + addend;
    }
#pragma GCC unroll 24
    for (int c = 0; c < CHAINS; ++c) *sink += total[c][0];
    return 2.0 * rounds * CHAINS * (sizeof(vec) / sizeof(float));
}
