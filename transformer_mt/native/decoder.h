/* A step of a decoder whose linear maps are in int8, included by kernels.c: all its layers in one call.
 *
 * Numbers between the parts are bf16, as they are where PyTorch goes from part to part. M rows of x are the newest tokens
 * of K hypotheses of each of B sentences; D numbers each, in H heads of E. All widths are multiples of LANES.
 */

typedef struct { const int8_t *packed; const float *scales, *shifts, *bias; int64_t inputs, outputs; } linear_map;
typedef struct { const float *weight, *bias; } norm; /* without bias it is an RMSNorm */
typedef struct {
    linear_map qkv, self_out, query, cross_out, in, down;
    norm of_self, of_cross, of_feed_forward;
} decoder_layer;

/* What a layer attends to in the memory. */
typedef struct { const bf16 *keys, *values; strides at; } memory_keys;

/* What holds for all layers. */
typedef struct {
    int64_t num_layers, pre_norm, gated, with_amx, B, K, H, E, F /* numbers inside the feed-forward block */;
    bf16 *keys, *values; /* of the past, with room for R entries of each head, and so far from layer to layer */
    int64_t R, by_layer, num_entries; /* of which the last K are those of this step */
    const float *cos, *sin; /* E / 2 of each, by which queries and keys turn; or none */
} decoder_step;

static int apply(const linear_map *map, const decoder_step *s, const bf16 *x, int64_t relu, bf16 *out) {
    return linear_int8(x, map->inputs, map->packed, map->scales, map->shifts, map->bias, relu, s->with_amx, s->B * s->K,
                       map->inputs, map->outputs, out);
}

/* Each of M rows of x with mean 0 and variance 1 (or only a mean square of 1), times the weight, plus the bias. */
static void normalize(const norm *n, const bf16 *x, int64_t M, int64_t D, bf16 *out) {
    const float epsilon = 1e-5f;
    for (int64_t m = 0; m < M; m++, x += D, out += D) {
        lanes sum = {0}, squares = {0};
        for (int64_t d = 0; n->bias && d < D; d += LANES) sum += load_bfloat16(x + d);
        const float mean = sum_of(sum) / (float)D;
        for (int64_t d = 0; d < D; d += LANES) {
            const lanes rest = load_bfloat16(x + d) - mean;
            squares += rest * rest;
        }
        const float scale = 1.0f / sqrtf(sum_of(squares) / (float)D + epsilon);
        for (int64_t d = 0; d < D; d += LANES) {
            lanes value = (load_bfloat16(x + d) - mean) * scale * load_float32(n->weight + d);
            if (n->bias) value += load_float32(n->bias + d);
            store_bfloat16(out + d, value);
        }
    }
}

static void add(bf16 *x, const bf16 *y, int64_t size) {
    for (int64_t i = 0; i < size; i += LANES) store_bfloat16(x + i, load_bfloat16(x + i) + load_bfloat16(y + i));
}

/* Turn a head in place: numbers i and i + E / 2 are the coordinates that turn together. */
static void turn(bf16 *head, const float *cos, const float *sin, int64_t E) {
    float turned[E];
    for (int64_t i = 0; i < E / 2; i++) {
        const float a = from_bfloat16(head[i]), b = from_bfloat16(head[i + E / 2]);
        turned[i] = a * cos[i] - b * sin[i];
        turned[i + E / 2] = b * cos[i] + a * sin[i];
    }
    for (int64_t i = 0; i < E; i += LANES) store_bfloat16(head + i, load_float32(turned + i));
}

/* x of 2 F numbers a row, gates before values: out = gate / (1 + exp(-gate)) * value. */
static void gate(const bf16 *x, int64_t M, int64_t F, bf16 *out) {
    for (int64_t m = 0; m < M; m++, x += 2 * F, out += F) {
        for (int64_t f = 0; f < F; f += LANES) {
            float gates[LANES];
            store_float32(gates, load_bfloat16(x + f));
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const float power = exp_nonpositive(-fabsf(gates[i]));
                gates[i] *= (gates[i] < 0.0f ? power : 1.0f) / (1.0f + power);
            }
            bf16 rounded[LANES];
            store_bfloat16(rounded, load_float32(gates));
            store_bfloat16(out + f, load_bfloat16(rounded) * load_bfloat16(x + F + f));
        }
    }
}

/* Queries stay in qkv (M, 3 D); keys and values go to where the past lies. */
static void remember(const decoder_step *s, int64_t layer, bf16 *qkv) {
    const int64_t D = s->H * s->E, first = layer * s->by_layer + (s->num_entries - s->K) * s->E;
    for (int64_t m = 0; m < s->B * s->K; m++, qkv += 3 * D) {
        for (int64_t h = 0; h < s->H; h++) {
            bf16 *query = qkv + h * s->E, *key = query + D;
            if (s->cos) turn(query, s->cos, s->sin, s->E), turn(key, s->cos, s->sin, s->E);
            const int64_t place = first + ((m / s->K * s->H + h) * s->R + m % s->K) * s->E;
            memcpy(s->keys + place, key, sizeof(bf16) * (size_t)s->E);
            memcpy(s->values + place, query + 2 * D, sizeof(bf16) * (size_t)s->E);
        }
    }
}

/* The layers on x (M, D), in place. `past` and `memory` are what is seen of both. Returns 0 without memory for it. */
static int run_layers(const decoder_step *s, const decoder_layer *layers, const memory_keys *memory, const visible *past,
                      const visible *seen, bf16 *x) {
    const int64_t D = s->H * s->E, M = s->B * s->K, widest = (s->gated ? 2 : 1) * s->F;
    const strides of_past = {s->H * s->R * s->E, s->R * s->E, s->E};
    bf16 *wide = malloc(sizeof(bf16) * (size_t)(M * (widest > 3 * D ? widest : 3 * D)));
    bf16 *inner = malloc(sizeof(bf16) * (size_t)(M * (s->F > D ? s->F : D)));
    bf16 *y = malloc(sizeof(bf16) * (size_t)(M * D));
    int ok = wide && inner && y;
    for (int64_t l = 0; ok && l < s->num_layers; l++) {
        const decoder_layer *layer = layers + l;
        const norm *norms[] = {&layer->of_self, &layer->of_cross, &layer->of_feed_forward};
        for (int block = 0; ok && block < 3; block++) {
            const bf16 *input = x;
            if (s->pre_norm) normalize(norms[block], x, M, D, y), input = y;
            if (block == 0) {
                ok = apply(&layer->qkv, s, input, 0, wide);
                if (ok) remember(s, l, wide);
                ok = ok && attend_to_bfloat16(wide, 3 * D, s->keys + l * s->by_layer, s->values + l * s->by_layer, of_past,
                                              past, s->B, s->K, s->H, s->E, inner);
                ok = ok && apply(&layer->self_out, s, inner, 0, y);
            } else if (block == 1) {
                ok = apply(&layer->query, s, input, 0, wide);
                ok = ok && attend_to_bfloat16(wide, D, memory[l].keys, memory[l].values, memory[l].at, seen, s->B, s->K,
                                              s->H, s->E, inner);
                ok = ok && apply(&layer->cross_out, s, inner, 0, y);
            } else {
                ok = apply(&layer->in, s, input, !s->gated, wide);
                if (ok && s->gated) gate(wide, M, s->F, inner);
                ok = ok && apply(&layer->down, s, s->gated ? inner : wide, 0, y);
            }
            if (ok) add(x, y, M * D);
            if (ok && !s->pre_norm) normalize(norms[block], x, M, D, x);
        }
    }
    free(wide);
    free(inner);
    free(y);
    return ok;
}

/* A step of the decoder on x (M, D), in place: `bias` (B, K, entries) hides entries of the past, `memory_bias` (B, S) those
 * of the memory, and both may be missing. Returns 0 when there was no memory for it. */
int step_decoder(const decoder_step *s, const decoder_layer *layers, const memory_keys *memory, const bf16 *bias,
                 int64_t by_sentence, int64_t by_hypothesis, const bf16 *memory_bias, int64_t memory_by_sentence,
                 int64_t S, bf16 *x) {
    visible past = {0}, seen = {0};
    int ok = look_bfloat16(&past, bias, by_sentence, by_hypothesis, s->B, s->K, s->num_entries);
    ok = ok && look_bfloat16(&seen, memory_bias, memory_by_sentence, 0, s->B, s->K, S);
    ok = ok && run_layers(s, layers, memory, &past, &seen, x);
    forget(&past);
    forget(&seen);
    return ok;
}
