// Short rows of a boolean product: a warp a row gathers its columns and sorts them in registers.
#include "spgemm_sort.cuh"

// Row rows[w] for warp w: the number of its distinct columns where `indices` is null, else the
// columns, in order, from offsets[row] on. Rows have at most ROOM columns with repeats.
extern "C" __global__ void list_sorted(
    i64 n, const i64* __restrict__ rows, const i64* __restrict__ a_indptr, const A_INDEX* __restrict__ a_indices,
    const i64* __restrict__ b_indptr, const INDEX* __restrict__ b_indices, const i64* __restrict__ offsets,
    i64* counts, INDEX* indices
) {
    __shared__ KEY columns[ROWS][ROOM];
    __shared__ i64 bases[ROWS][32];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const i64 w = blockIdx.x * (i64)ROWS + warp;
    if (w >= n) return;
    const i64 i = rows[w], a_end = a_indptr[i + 1];
    KEY* found = columns[warp];
    u32 n_found = 0;
    for (i64 p = a_indptr[i]; p < a_end; p += 32) {
        i64 begin = 0, end = 0;
        if (p + lane < a_end) {
            const i64 k = a_indices[p + lane];
            begin = b_indptr[k], end = b_indptr[k + 1];
        }
        n_found += visit_edges<false>(
            begin, (u32)(end - begin), 1, bases[warp], (NUMBER*)nullptr,
            [&](u32 t, i64 q, NUMBER) { found[n_found + t] = (KEY)b_indices[q]; }
        );
    }
    KEY key[ITEMS];
#pragma unroll
    for (int j = 0; j < ITEMS; ++j) key[j] = 32 * j + lane < n_found ? found[32 * j + lane] : NO_KEY;
    sort_keys(key);
    const u32 heads = find_heads(key, 0), last = warp_prefix((u32)__popc(heads));
    if (!indices) {
        if (lane == 31) counts[i] = last;
        return;
    }
    u32 rank = last - __popc(heads);
    __syncwarp();
#pragma unroll
    for (int j = 0; j < ITEMS; ++j)
        if (heads >> j & 1) found[rank++] = key[j];
    const u32 n_distinct = __shfl_sync(FULL_WARP, last, 31);
    __syncwarp();
    const i64 offset = offsets[i];
    for (u32 r = lane; r < n_distinct; r += 32) indices[offset + r] = (INDEX)found[r];
}
