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

/* Let `seen` hold the keys, of S, whose bias is 0 for each of K hypotheses of B sentences; all, where there is no bias.
 * Returns 0 when there was no memory for it; `forget` frees it. */
static int OF(look)(visible *seen, const REAL *bias, int64_t bias_by_sentence, int64_t bias_by_hypothesis, int64_t B,
                    int64_t K, int64_t S) {
    seen->by_hypothesis = bias && bias_by_hypothesis && K > 1;
    seen->by_sentence = bias ? (seen->by_hypothesis ? K : 1) : 0;
    const int64_t sentences = seen->by_sentence ? B : 1, hypotheses = seen->by_hypothesis ? K : 1;
    seen->size = S;
    seen->keys = malloc((size_t)(sentences * hypotheses * S + 1) * sizeof *seen->keys);
    seen->counts = malloc((size_t)(sentences * hypotheses + 1) * sizeof *seen->counts);
    if (!seen->keys || !seen->counts) return 0;
    for (int64_t b = 0; b < sentences; b++) {
        for (int64_t k = 0; k < hypotheses; k++) {
            const REAL *hiding = bias ? bias + b * bias_by_sentence + k * bias_by_hypothesis : NULL;
            int32_t *keys = seen->keys + (b * hypotheses + k) * S;
            int64_t count = 0;
            for (int64_t s = 0; s < S; s++) {
                keys[count] = (int32_t)s;
                count += !hiding || OF(from)(hiding[s]) == 0.0f;
            }
            seen->counts[b * hypotheses + k] = count;
        }
    }
    return 1;
}

/* softmax(q k^T / sqrt(E)) v, giving out (B, K, H, E), for the queries of B x K hypotheses, each `row` after the last,
 * and the keys that are seen. Keys and values have the strides of `at`. E is a multiple of LANES. Returns 0 when there
 * was no memory for it. */
static int OF(attend_to)(const REAL *q, int64_t row, const REAL *keys, const REAL *values, strides at,
                         const visible *seen, int64_t B, int64_t K, int64_t H, int64_t E, REAL *out) {
    float *weights = malloc((size_t)(seen->size + 1) * sizeof *weights);
    for (int64_t b = 0; weights && b < B; b++) {
        for (int64_t h = 0; h < H; h++) {
            const REAL *k_of = keys + b * at.sentence + h * at.head, *v_of = values + b * at.sentence + h * at.head;
            for (int64_t k = 0; k < K; k++) {
                const REAL *query = q + (b * K + k) * row + h * E;
                REAL *context = out + ((b * K + k) * H + h) * E;
                const int64_t list = b * seen->by_sentence + k * seen->by_hypothesis, count = seen->counts[list];
                const int32_t *own = seen->keys + list * seen->size;
                switch (E / LANES) {
                    case 1: OF(attend_once)(1, query, k_of, v_of, at.key, own, count, weights, context); break;
                    case 2: OF(attend_once)(2, query, k_of, v_of, at.key, own, count, weights, context); break;
                    case 4: OF(attend_once)(4, query, k_of, v_of, at.key, own, count, weights, context); break;
                    default: OF(attend_once)(E / LANES, query, k_of, v_of, at.key, own, count, weights, context);
                }
            }
        }
    }
    free(weights);
    return weights != NULL;
}

/* `attend_to` the keys whose bias is 0. */
int OF(attend)(const REAL *q, int64_t row, const REAL *keys, const REAL *values, int64_t by_sentence, int64_t by_head,
               int64_t by_key, const REAL *bias, int64_t bias_by_sentence, int64_t bias_by_hypothesis, int64_t B,
               int64_t K, int64_t H, int64_t E, int64_t S, REAL *out) {
    const strides at = {by_sentence, by_head, by_key};
    visible seen;
    int has_memory = OF(look)(&seen, bias, bias_by_sentence, bias_by_hypothesis, B, K, S);
    has_memory = has_memory && OF(attend_to)(q, row, keys, values, at, &seen, B, K, H, E, out);
    forget(&seen);
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
