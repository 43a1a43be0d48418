// Short rows of a product with values: a warp a row sorts columns together with their places.
#include "spgemm_sort.cuh"

#define SHIFT (ITEMS == 1 ? 5 : ITEMS == 2 ? 6 : ITEMS == 4 ? 7 : ITEMS == 8 ? 8 : ITEMS == 16 ? 9 : 10)

// Row rows[w] for warp w: its distinct columns, in order, from offsets[row] on, and their sums.
// A key is a column and, in its low bits, the place of the product among those of the row: equal
// columns come out in the order of the edges, and are added up in it, each sum by one lane.
extern "C" __global__ void add_sorted(
    i64 n, const i64* __restrict__ rows, const i64* __restrict__ a_indptr, const A_INDEX* __restrict__ a_indices,
    const NUMBER* __restrict__ a_values, const i64* __restrict__ b_indptr, const INDEX* __restrict__ b_indices,
    const NUMBER* __restrict__ b_values, const i64* __restrict__ offsets, INDEX* indices, NUMBER* values
) {
    __shared__ KEY keys[ROWS][ROOM];
    __shared__ NUMBER all_products[ROWS][ROOM];
    __shared__ unsigned short starts[ROWS][ROOM];
    __shared__ i64 bases[ROWS][32];
    __shared__ NUMBER factors[ROWS][32];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const i64 w = blockIdx.x * (i64)ROWS + warp;
    if (w >= n) return;
    const i64 i = rows[w], a_end = a_indptr[i + 1];
    KEY* found = keys[warp];
    NUMBER* products = all_products[warp];
    unsigned short* start = starts[warp];
    u32 n_found = 0;
    for (i64 p = a_indptr[i]; p < a_end; p += 32) {
        i64 begin = 0, end = 0;
        NUMBER factor = 1;
        if (p + lane < a_end) {
            const i64 k = a_indices[p + lane];
            begin = b_indptr[k], end = b_indptr[k + 1];
            if (a_values) factor = a_values[p + lane];
        }
        n_found += visit_edges<true>(
            begin, (u32)(end - begin), factor, bases[warp], factors[warp],
            [&](u32 t, i64 q, NUMBER f) {
                found[n_found + t] = (KEY)b_indices[q] << SHIFT | (KEY)(n_found + t);
                products[n_found + t] = b_values ? f * b_values[q] : f;
            }
        );
    }
    KEY key[ITEMS];
#pragma unroll
    for (int j = 0; j < ITEMS; ++j) key[j] = 32 * j + lane < n_found ? found[32 * j + lane] : NO_KEY;
    sort_keys(key);
    const u32 heads = find_heads(key, SHIFT), last = warp_prefix((u32)__popc(heads));
    u32 rank = last - __popc(heads);
    __syncwarp();
#pragma unroll
    for (int j = 0; j < ITEMS; ++j) {
        found[lane * ITEMS + j] = key[j];
        if (heads >> j & 1) start[rank++] = (unsigned short)(lane * ITEMS + j);
    }
    const u32 n_distinct = __shfl_sync(FULL_WARP, last, 31);
    __syncwarp();
    const i64 offset = offsets[i];
    for (u32 r = lane; r < n_distinct; r += 32) {
        const u32 first = start[r], end = r + 1 < n_distinct ? start[r + 1] : n_found;
        NUMBER sum = 0;
        for (u32 t = first; t < end; ++t) sum += products[found[t] & (KEY)(ROOM - 1)];
        indices[offset + r] = (INDEX)(found[first] >> SHIFT);
        values[offset + r] = sum;
    }
}
