/* The loops of decoding for which PyTorch needs many small calls, for one thread.
 *
 * Plain C for GCC and Clang; `build.py` compiles it where there is a compiler, and PyTorch does the same work where
 * there is none. Sums are float32 whatever the type of the numbers. Axes: B sentences, K hypotheses of each, H heads,
 * E width of a head, S keys, V vocabulary, R rows.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVX512F__
#include <immintrin.h>
#endif
#ifdef __AMX_INT8__
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef uint16_t bf16;

enum { LANES = 16 }; /* numbers computed together; where the processor takes fewer, the compiler splits them */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));
typedef float half_lanes __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef float quarter_lanes __attribute__((vector_size(LANES / 4 * sizeof(float))));
typedef uint32_t bit_lanes __attribute__((vector_size(LANES * sizeof(uint32_t)), aligned(4), may_alias));
typedef bf16 bf16_lanes __attribute__((vector_size(LANES * sizeof(bf16)), aligned(2), may_alias));

static inline lanes load_float32(const float *x) { return *(const lanes *)x; }
static inline void store_float32(float *x, lanes value) { *(lanes *)x = value; }

static inline lanes load_bfloat16(const bf16 *x) {
#ifdef __AVX512F__ /* compilers make two halves of it */
    return (lanes)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x)), 16);
#else
    return (lanes)(__builtin_convertvector(*(const bf16_lanes *)x, bit_lanes) << 16);
#endif
}

/* To the nearest, ties to even, as PyTorch does; there are no NaN. */
static inline void store_bfloat16(bf16 *x, lanes value) {
#ifdef __AVX512BF16__
    _mm256_storeu_si256((__m256i *)x, (__m256i)_mm512_cvtneps_pbh((__m512)value));
#else
    bit_lanes bits = (bit_lanes)value;
    *(bf16_lanes *)x = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, bf16_lanes);
#endif
}

static inline float sum_of(lanes x) {
    half_lanes halves[2];
    quarter_lanes quarters[2];
    memcpy(halves, &x, sizeof x);
    halves[0] += halves[1];
    memcpy(quarters, halves, sizeof quarters);
    quarters[0] += quarters[1];
    return (quarters[0][0] + quarters[0][2]) + (quarters[0][1] + quarters[0][3]);
}

static inline float from_float32(float x) { return x; }

static inline float from_bfloat16(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* exp(x) for x <= 0 to 2e-7 of its value; 0 below -87. A polynomial on [-ln 2 / 2, ln 2 / 2], so that compilers can
 * compute many at once. */
static inline float exp_nonpositive(float x) {
    float bounded = x < -87.0f ? -87.0f : x;
    float whole = rintf(bounded * 1.44269504f);
    float rest = bounded - whole * 0.693145752f - whole * 1.42860677e-6f; /* ln 2 in two parts */
    float value = 1.0f + rest * (1.0f + rest * (0.5f + rest * (1.66666667e-1f + rest * (4.16666667e-2f
                  + rest * (8.33333333e-3f + rest * 1.38888889e-3f)))));
    int32_t exponent = ((int32_t)whole + 127) << 23;
    float power;
    memcpy(&power, &exponent, sizeof power);
    return x < -87.0f ? 0.0f : value * power;
}

/* For the lanes of a head; written out where C is known, so that they stay in registers. */
#define EACH(c, C) _Pragma("GCC unroll 8") for (int64_t c = 0; c < (C); c++)

/* How far apart keys lie, in numbers. */
typedef struct { int64_t sentence, head, key; } strides;

/* Lists of keys, of which there are `size`: that of a hypothesis lies by these steps after the first. */
typedef struct { int32_t *keys; int64_t *counts, size, by_sentence, by_hypothesis; } visible;

static void forget(visible *seen) {
    free(seen->keys);
    free(seen->counts);
}

#define REAL float
#define OF(name) name##_float32
#include "loops.h"
#undef REAL
#undef OF

#define REAL bf16
#define OF(name) name##_bfloat16
#include "loops.h"

/* The count largest sums scores[b, k] + log_probs[b, k, v] of each sentence, largest first, with their k and v; of
 * equal ones the first. There must be at least so many. */
void best_continuations(const float *scores, const float *log_probs, int64_t B, int64_t K, int64_t V, int64_t count,
                        float *best, int64_t *parents, int64_t *tokens) {
    enum { BLOCK = 64 };
    for (int64_t b = 0; b < B; b++, best += count, parents += count, tokens += count) {
        int64_t found = 0;
        for (int64_t k = 0; k < K; k++) {
            const float score = scores[b * K + k], *row = log_probs + (b * K + k) * V;
            for (int64_t start = 0; start < V; start += BLOCK) {
                int64_t end = start + BLOCK < V ? start + BLOCK : V;
                if (found == count) { /* most blocks hold nothing that is good enough */
                    float largest = -INFINITY;
                    #pragma omp simd reduction(max : largest)
                    for (int64_t v = start; v < end; v++) largest = row[v] > largest ? row[v] : largest;
                    if (!(score + largest > best[count - 1])) continue;
                }
                for (int64_t v = start; v < end; v++) {
                    float sum = score + row[v];
                    if (found == count && !(sum > best[count - 1])) continue;
                    int64_t place = found < count ? found++ : count - 1;
                    for (; place > 0 && best[place - 1] < sum; place--) {
                        best[place] = best[place - 1];
                        parents[place] = parents[place - 1];
                        tokens[place] = tokens[place - 1];
                    }
                    best[place] = sum;
                    parents[place] = k;
                    tokens[place] = v;
                }
            }
        }
    }
}

/* What int8 products run on: 0 nothing that is fast, 1 AVX512-VNNI, 2 AMX, which Linux must allow a process first. */
#ifdef __AVX512VNNI__
#include "int8.h"
#include "decoder.h"

int int8_unit(void) {
#ifdef __AMX_INT8__
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* asm/prctl.h of Linux, arch/x86/xstate.rst */
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0) return 2;
#endif
    return 1;
}
#else
int int8_unit(void) { return 0; }
#endif
