/* Linear maps in int8, included by kernels.c: x w^T + bias for rows x of bf16 and weights w (N, K) of float32.
 *
 * Each row of x and each row of w is divided by a scale of its own, so that its largest number becomes 127, and rounded;
 * products and sums are whole numbers, exact, and multiplied by both scales in the end. The processor's instructions
 * take one factor without sign: x is stored 128 higher, which `shifts` takes off again. M rows of x, N outputs, K inputs.
 *
 * Blocks of 16 rows by DEPTH numbers of x, and of DEPTH / 4 by 16 groups of 4 numbers of w, are what AMX multiplies at
 * once; w lies in panels of WIDTH outputs, whose two blocks take turns.
 */

enum { DEPTH = 64, ROWS = 16, WIDTH = 32, TILE = ROWS * DEPTH, NEAR = 256 << 10 /* bytes that stay in a cache */ };

static int64_t filled_up(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

/* w as `linear_int8` takes it: `packed` has room for N x K numbers filled up to whole panels and blocks, `scales` and
 * `shifts` for N. Returns 0 when there was no memory for it. */
int pack_int8(const float *w, int64_t N, int64_t K, int8_t *packed, float *scales, float *shifts) {
    const int64_t depth = filled_up(K, DEPTH), width = filled_up(N, WIDTH);
    int8_t *row = malloc((size_t)depth);
    for (int64_t n = 0; row && n < width; n++) {
        float largest = 0.0f;
        int32_t sum = 0;
        memset(row, 0, (size_t)depth);
        for (int64_t k = 0; n < N && k < K; k++) largest = fabsf(w[n * K + k]) > largest ? fabsf(w[n * K + k]) : largest;
        for (int64_t k = 0; largest > 0.0f && k < K; k++) sum += row[k] = (int8_t)rintf(w[n * K + k] * (127.0f / largest));
        scales[n] = largest / 127.0f;
        shifts[n] = -128.0f * (float)sum;
        int8_t *panel = packed + n / WIDTH * WIDTH * depth + n % WIDTH / ROWS * TILE + n % ROWS * 4;
        for (int64_t k = 0; k < depth; k += 4) memcpy(panel + k / DEPTH * 2 * TILE + k % DEPTH * ROWS, row + k, 4);
    }
    free(row);
    return row != NULL;
}

/* M rows of x in blocks, 128 higher, and their scales. */
static void quantize(const bf16 *x, int64_t stride, int64_t M, int64_t K, uint8_t *blocks, float *scales) {
    const int64_t depth = filled_up(K, DEPTH);
    for (int64_t m = 0; m < M; m++, x += stride) {
        uint8_t *row = blocks + m / ROWS * ROWS * depth + m % ROWS * DEPTH;
        __m512 sizes = _mm512_setzero_ps();
        for (int64_t k = 0; k < K; k += LANES)
            sizes = _mm512_max_ps(sizes, _mm512_abs_ps((__m512)load_bfloat16(x + k)));
        const float largest = _mm512_reduce_max_ps(sizes);
        const __m512 factor = _mm512_set1_ps(largest > 0.0f ? 127.0f / largest : 0.0f);
        scales[m] = largest / 127.0f;
        for (int64_t k = 0; k < depth; k += LANES) {
            __m512i whole = _mm512_setzero_si512();
            if (k < K) whole = _mm512_cvtps_epi32(_mm512_mul_ps((__m512)load_bfloat16(x + k), factor));
            whole = _mm512_add_epi32(whole, _mm512_set1_epi32(128));
            _mm_storeu_si128((__m128i *)(row + k / DEPTH * TILE + k % DEPTH), _mm512_cvtepi32_epi8(whole));
        }
    }
}

/* The sums (rows, WIDTH) of one panel, as numbers of out: times the scales, plus the bias. `count` outputs are there. */
static void finish(const int32_t *sums, const float *row_scales, const float *scales, const float *shifts,
                   const float *bias, int64_t relu, int64_t rows, int64_t count, int64_t stride, bf16 *out) {
    const __m512 floor = _mm512_set1_ps(relu ? 0.0f : -INFINITY);
    for (int64_t c = 0; c < count; c += LANES) {
        const __m512 scale = _mm512_loadu_ps(scales + c), shift = _mm512_loadu_ps(shifts + c);
        const __m512 added = _mm512_loadu_ps(bias + c);
        for (int64_t r = 0; r < rows; r++) {
            const __m512 sum = _mm512_add_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums + r * WIDTH + c)), shift);
            const __m512 of_both = _mm512_mul_ps(scale, _mm512_set1_ps(row_scales[r]));
            const lanes value = (lanes)_mm512_max_ps(_mm512_fmadd_ps(sum, of_both, added), floor);
            if (count - c >= LANES) {
                store_bfloat16(out + r * stride + c, value);
            } else {
                bf16 last[LANES];
                store_bfloat16(last, value);
                memcpy(out + r * stride + c, last, sizeof(bf16) * (size_t)(count - c));
            }
        }
    }
}

#ifdef __AMX_INT8__
/* Tiles 0 to 3 are sums, 4 and 5 of x, 6 and 7 of w. `rows` of 32 are there. */
static void shape_tiles(int64_t rows) {
    struct { uint8_t palette, start, reserved[14]; uint16_t bytes_of_row[16]; uint8_t rows[16]; } shape = {.palette = 1};
    const uint8_t first = (uint8_t)(rows < ROWS ? rows : ROWS), second = (uint8_t)(rows > ROWS ? rows - ROWS : 1);
    for (int tile = 0; tile < 8; tile++) shape.bytes_of_row[tile] = DEPTH, shape.rows[tile] = ROWS;
    shape.rows[0] = shape.rows[1] = shape.rows[4] = first;
    shape.rows[2] = shape.rows[3] = shape.rows[5] = second;
    _tile_loadconfig(&shape);
}

static void multiply_amx(const uint8_t *x, const int8_t *w, int64_t depth, int64_t rows, int32_t *sums) {
    const uint8_t *second = x + ROWS * depth;
    _tile_zero(0);
    _tile_zero(1);
    if (rows > ROWS) {
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t k = 0; k < depth; k += DEPTH, x += TILE, second += TILE, w += 2 * TILE) {
            _tile_loadd(4, x, DEPTH);
            _tile_loadd(6, w, DEPTH);
            _tile_loadd(7, w + TILE, DEPTH);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_loadd(5, second, DEPTH);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
        _tile_stored(2, sums + ROWS * WIDTH, WIDTH * 4);
        _tile_stored(3, sums + ROWS * WIDTH + ROWS, WIDTH * 4);
    } else {
        for (int64_t k = 0; k < depth; k += DEPTH, x += TILE, w += 2 * TILE) {
            _tile_loadd(4, x, DEPTH);
            _tile_loadd(6, w, DEPTH);
            _tile_loadd(7, w + TILE, DEPTH);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
        }
    }
    _tile_stored(0, sums, WIDTH * 4);
    _tile_stored(1, sums + ROWS, WIDTH * 4);
}
#endif

/* sums (32, WIDTH) of `rows` rows of x, in blocks, times one panel of w. */
static void multiply_vnni(const uint8_t *x, const int8_t *w, int64_t depth, int64_t rows, int32_t *sums) {
    enum { TOGETHER = 8 }; /* rows whose sums stay in registers; those past the last are computed for nothing */
    for (int64_t m = 0; m < rows; m += TOGETHER, sums += TOGETHER * WIDTH) {
        const uint8_t *row = x + m / ROWS * ROWS * depth + m % ROWS * DEPTH;
        __m512i left[TOGETHER], right[TOGETHER];
        for (int i = 0; i < TOGETHER; i++) left[i] = right[i] = _mm512_setzero_si512();
        for (int64_t k = 0; k < depth; k += 4) {
            const int8_t *four = w + k / DEPTH * 2 * TILE + k % DEPTH * ROWS;
            const __m512i of_left = _mm512_loadu_si512(four), of_right = _mm512_loadu_si512(four + TILE);
            for (int i = 0; i < TOGETHER; i++) {
                int32_t numbers;
                memcpy(&numbers, row + k / DEPTH * TILE + k % DEPTH + i * DEPTH, sizeof numbers);
                left[i] = _mm512_dpbusd_epi32(left[i], _mm512_set1_epi32(numbers), of_left);
                right[i] = _mm512_dpbusd_epi32(right[i], _mm512_set1_epi32(numbers), of_right);
            }
        }
        for (int i = 0; i < TOGETHER; i++) {
            _mm512_storeu_si512(sums + i * WIDTH, left[i]);
            _mm512_storeu_si512(sums + i * WIDTH + ROWS, right[i]);
        }
    }
}

/* out (M, N), from x whose rows begin `stride` numbers apart; negative results become 0 with `relu`. K is a multiple of
 * LANES; scales, shifts and bias are filled up to whole panels. Returns 0 when there was no memory for it. */
int linear_int8(const bf16 *x, int64_t stride, const int8_t *packed, const float *scales, const float *shifts,
                const float *bias, int64_t relu, int64_t with_amx, int64_t M, int64_t K, int64_t N, bf16 *out) {
    const int64_t depth = filled_up(K, DEPTH), near = NEAR / (WIDTH * depth) * WIDTH, chunk = near ? near : WIDTH;
    uint8_t *blocks = aligned_alloc(DEPTH, (size_t)(filled_up(M + 1, ROWS) * depth)); /* never of size 0 */
    float *row_scales = malloc((size_t)(M + 1) * sizeof *row_scales);
    int32_t sums[2 * ROWS * WIDTH] __attribute__((aligned(64)));
    int64_t shaped = 0;
    int has_memory = blocks && row_scales;
    if (has_memory) quantize(x, stride, M, K, blocks, row_scales);
    for (int64_t begin = 0; has_memory && begin < N; begin += chunk) {
        const int64_t end = begin + chunk < N ? begin + chunk : N;
        for (int64_t m = 0; m < M; m += 2 * ROWS) {
            const int64_t rows = M - m < 2 * ROWS ? M - m : 2 * ROWS;
            for (int64_t n = begin; n < end; n += WIDTH) {
#ifdef __AMX_INT8__
                if (with_amx && shaped != rows) shape_tiles(shaped = rows);
                if (with_amx) multiply_amx(blocks + m * depth, packed + n * depth, depth, rows, sums);
                else
#endif
                multiply_vnni(blocks + m * depth, packed + n * depth, depth, rows, sums);
                finish(sums, row_scales + m, scales + n, shifts + n, bias + n, relu, rows, N - n < WIDTH ? N - n : WIDTH,
                       N, out + m * N + n);
            }
        }
    }
#ifdef __AMX_INT8__
    if (shaped) _tile_release();
#endif
    free(blocks);
    free(row_scales);
    return has_memory;
}
