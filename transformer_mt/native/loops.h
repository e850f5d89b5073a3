/* Included by kernels.c once for each type of numbers, REAL, whose functions are called OF(name). */

/* Attention of one query of C * LANES numbers to the `count` keys and values at `visible`; `weights` has room for as
 * many. Where there are none it is 0. C is known to the compiler. */
static inline __attribute__((always_inline)) void OF(attend_once)(const int64_t C, const REAL *query, const REAL *keys,
                                                                  const REAL *values, int64_t stride,
                                                                  const int32_t *visible, int64_t count, float *weights,
                                                                  REAL *out) {
    lanes scaled[C], context[C];
    float largest = -INFINITY, sum = 0.0f;
    const float scale = 1.0f / sqrtf((float)(C * LANES));
    EACH(c, C) scaled[c] = OF(load)(query + c * LANES) * scale, context[c] = (lanes){0};
    for (int64_t j = 0; j < count; j++) {
        const REAL *key = keys + visible[j] * stride;
        lanes products = {0};
        EACH(c, C) products += scaled[c] * OF(load)(key + c * LANES);
        weights[j] = sum_of(products);
        largest = weights[j] > largest ? weights[j] : largest;
    }
    #pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < count; j++) sum += weights[j] = exp_nonpositive(weights[j] - largest);
    for (int64_t j = 0; j < count; j++) {
        const REAL *value = values + visible[j] * stride;
        EACH(c, C) context[c] += weights[j] * OF(load)(value + c * LANES);
    }
    const float total = count ? sum : 1.0f;
    EACH(c, C) OF(store)(out + c * LANES, context[c] / total);
}

/* softmax(q k^T / sqrt(E)) v, giving out (B, K, H, E), for the queries of B x K hypotheses, each `row` after the last.
 * Keys and values have the strides `by_sentence`, `by_head` and `by_key`. A key counts where the bias, which may be
 * missing, is 0. E is a multiple of LANES. Returns 0 when there was no memory for it. */
int OF(attend)(const REAL *q, int64_t row, const REAL *keys, const REAL *values, int64_t by_sentence, int64_t by_head,
               int64_t by_key, const REAL *bias, int64_t bias_by_sentence, int64_t bias_by_hypothesis, int64_t B,
               int64_t K, int64_t H, int64_t E, int64_t S, REAL *out) {
    float *weights = malloc((size_t)S * sizeof *weights);
    int32_t *visible = malloc((size_t)(K * S) * sizeof *visible);
    int64_t *counts = malloc((size_t)K * sizeof *counts);
    int has_memory = weights && visible && counts;
    for (int64_t b = 0; has_memory && b < B; b++) {
        for (int64_t k = 0; k < K; k++) {
            const REAL *hiding = bias ? bias + b * bias_by_sentence + k * bias_by_hypothesis : NULL;
            counts[k] = 0;
            for (int64_t s = 0; s < S; s++) {
                visible[k * S + counts[k]] = (int32_t)s;
                counts[k] += !hiding || OF(from)(hiding[s]) == 0.0f;
            }
        }
        for (int64_t h = 0; h < H; h++) {
            const REAL *k_of = keys + b * by_sentence + h * by_head, *v_of = values + b * by_sentence + h * by_head;
            for (int64_t k = 0; k < K; k++) {
                const REAL *query = q + (b * K + k) * row + h * E;
                REAL *context = out + ((b * K + k) * H + h) * E;
                const int32_t *own = visible + k * S;
                switch (E / LANES) {
                    case 1: OF(attend_once)(1, query, k_of, v_of, by_key, own, counts[k], weights, context); break;
                    case 2: OF(attend_once)(2, query, k_of, v_of, by_key, own, counts[k], weights, context); break;
                    case 4: OF(attend_once)(4, query, k_of, v_of, by_key, own, counts[k], weights, context); break;
                    default: OF(attend_once)(E / LANES, query, k_of, v_of, by_key, own, counts[k], weights, context);
                }
            }
        }
    }
    free(weights);
    free(visible);
    free(counts);
    return has_memory;
}

/* Attention of each token of B sentences to those of its own sentence. qkv (N, 3, H, E) has queries, keys and values of
 * the tokens, one sentence of `lengths` tokens after the other; out is (N, H, E). Returns 0 when there was no memory. */
int OF(attend_within)(const REAL *qkv, const int64_t *lengths, int64_t B, int64_t H, int64_t E, REAL *out) {
    const int64_t part = H * E, row = 3 * part;
    int has_memory = 1;
    for (int64_t b = 0; has_memory && b < B; b++) {
        const int64_t T = lengths[b];
        has_memory = T == 0 || OF(attend)(qkv, row, qkv + part, qkv + 2 * part, 0, E, row, NULL, 0, 0, 1, T, H, E, T, out);
        qkv += T * row, out += T * part;
    }
    return has_memory;
}

/* Log-softmax of each of R rows of V logits. */
void OF(log_softmax)(const REAL *logits, int64_t R, int64_t V, float *out) {
    for (int64_t r = 0; r < R; r++, logits += V, out += V) {
        float largest = -INFINITY, sum = 0.0f;
        #pragma omp simd reduction(max : largest)
        for (int64_t v = 0; v < V; v++) largest = OF(from)(logits[v]) > largest ? OF(from)(logits[v]) : largest;
        #pragma omp simd reduction(+ : sum)
        for (int64_t v = 0; v < V; v++) sum += exp_nonpositive(OF(from)(logits[v]) - largest);
        const float offset = largest + logf(sum);
        #pragma omp simd
        for (int64_t v = 0; v < V; v++) out[v] = OF(from)(logits[v]) - offset;
    }
}
