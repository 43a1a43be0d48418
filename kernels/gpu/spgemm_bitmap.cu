// Long rows of a product: a block a row, or a tile of its columns, marks a bitmap in shared memory.
#include "spgemm_rows.cuh"

// From so many marks in 128 words on, their columns are written a word, not a mark, at a time.
#define MANY 512

// A block's shared memory: the bitmap, four words a quad; for values the marks before each quad;
// and what `visit_row` asks for. `low` is the first column of the tile. Pointers to other memory are
// kept out of this struct: beside those to shared memory, the compiler takes them for the same kind.
struct Tile {
    i64 low, n_quads;
    uint4* quads;
    u32* ranks;
    i64* bases;
    NUMBER* factors;
};

template <bool WEIGHTED>
__device__ __forceinline__ Tile lay_out(unsigned char* shared, i64 low, i64 high) {
    Tile own;
    own.low = low;
    own.n_quads = (high - low + 127) / 128;
    own.bases = (i64*)shared;
    own.factors = (NUMBER*)(own.bases + blockDim.x);
    own.quads = (uint4*)(own.factors + (WEIGHTED ? blockDim.x : 0));
    own.ranks = (u32*)(own.quads + own.n_quads);
    return own;
}

// What leads to the columns [low, high) of row i, where they are a tile of more.
__device__ __forceinline__ Factors factors_of(
    i64 i, i64 low, i64 high, i64 n_tiles, const i64* a_indptr, const A_INDEX* a_indices, const NUMBER* a_values,
    const i64* b_indptr, const INDEX* b_indices
) {
    return {a_indptr[i], a_indptr[i + 1], a_indices, a_values, b_indptr, b_indices, low, high, n_tiles > 1};
}

// Marks the columns of a row in the tile.
__device__ __forceinline__ void mark_columns(const Tile& own, const Factors& row, LongRows& rows) {
    for (i64 k = threadIdx.x; k < own.n_quads; k += blockDim.x) own.quads[k] = make_uint4(0, 0, 0, 0);
    u32* words = (u32*)own.quads;
    const INDEX* columns = row.b_indices;
    const i64 low = own.low;
    visit_row<false>(row, rows, own.bases, own.factors, [&](i64 q, NUMBER) {
        const u32 c = (u32)((i64)__ldg(columns + q) - low), bit = 1u << (c & 31);
        // Columns met often would queue up for the atomic: look first.
        if (!(words[c >> 5] & bit)) atomicOr(words + (c >> 5), bit);
    });
}

__device__ __forceinline__ u32 count_marks_of(uint4 quad) {
    return __popc(quad.x) + __popc(quad.y) + __popc(quad.z) + __popc(quad.w);
}

// Marks in the quads a warp owns: `per_warp` of them, a multiple of 32.
__device__ __forceinline__ u32 count_own(const Tile& own, i64 first, i64 end) {
    u32 n = 0;
    for (i64 k = first + threadIdx.x % 32; k < end; k += 32) n += count_marks_of(own.quads[k]);
    return warp_sum(n);
}

// Block b counts the marks of item b, that is tile b % n_tiles of row rows[b / n_tiles].
extern "C" __global__ void count_marks(
    const i64* __restrict__ rows, i64 n_tiles, i64 tile, i64 n_cols, const i64* __restrict__ a_indptr,
    const A_INDEX* __restrict__ a_indices, const i64* __restrict__ b_indptr, const INDEX* __restrict__ b_indices,
    i64* counts
) {
    DYNAMIC_SHARED(unsigned char, shared);
    __shared__ LongRows long_rows;
    __shared__ u32 total;
    if (threadIdx.x == 0) total = 0;
    const i64 i = rows[blockIdx.x / n_tiles], low = blockIdx.x % n_tiles * tile, high = min(low + tile, n_cols);
    const Factors row = factors_of(i, low, high, n_tiles, a_indptr, a_indices, nullptr, b_indptr, b_indices);
    const Tile own = lay_out<false>(shared, low, high);
    mark_columns(own, row, long_rows);
    u32 n = 0;
    for (i64 k = threadIdx.x; k < own.n_quads; k += blockDim.x) n += count_marks_of(own.quads[k]);
    n = warp_sum(n);
    if (threadIdx.x % 32 == 0) atomicAdd(&total, n);
    __syncthreads();
    if (threadIdx.x == 0) counts[blockIdx.x] = total;
}

// Writes the marked columns in order. Each warp owns a stretch of quads, a lane a quad at a time;
// where marks are many, all lanes read one word at a time, so that neighbours write to neighbours.
template <bool WEIGHTED>
__device__ __forceinline__ void write_columns(const Tile& own, u32* totals, INDEX* out) {
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, n_warps = blockDim.x / 32;
    const i64 per_warp = (own.n_quads + blockDim.x - 1) / blockDim.x * 32;
    const i64 first = min(warp * per_warp, own.n_quads), end = min(first + per_warp, own.n_quads);
    const u32 n_own = count_own(own, first, end);
    if (lane == 0) totals[warp] = n_own;
    __syncthreads();
    u32 rank = warp_sum(lane < warp && lane < n_warps ? totals[lane] : 0u);
    const u32* words = (const u32*)own.quads;
    for (i64 k0 = first; k0 < end; k0 += 32) {
        const i64 k = k0 + lane;
        const uint4 quad = k < end ? own.quads[k] : make_uint4(0, 0, 0, 0);
        const u32 n = count_marks_of(quad), last = warp_prefix(n);
        const u32 n_all = __shfl_sync(FULL_WARP, last, 31);
        u32 at = rank + last - n;
        if (WEIGHTED && k < end) own.ranks[k] = at;
        if (n_all >= MANY) {
            const i64 word_end = 4 * min(k0 + 32, end);
            for (i64 w = 4 * k0, r = rank; w < word_end; ++w) {
                const u32 word = words[w];
                const i64 place = r + __popc(word & ((1u << lane) - 1));
                if (word >> lane & 1) out[place] = (INDEX)(own.low + 32 * w + lane);
                r += __popc(word);
            }
        } else {
            const u32 parts[4] = {quad.x, quad.y, quad.z, quad.w};
#pragma unroll
            for (int part = 0; part < 4; ++part)
                for (u32 left = parts[part]; left; left &= left - 1)
                    out[at++] = (INDEX)(own.low + 128 * k + 32 * part + __ffs((int)left) - 1);
        }
        rank += n_all;
    }
}

// Block b writes the columns of item b from offsets[b] on.
extern "C" __global__ void list_marks(
    const i64* __restrict__ rows, i64 n_tiles, i64 tile, i64 n_cols, const i64* __restrict__ a_indptr,
    const A_INDEX* __restrict__ a_indices, const i64* __restrict__ b_indptr, const INDEX* __restrict__ b_indices,
    const i64* __restrict__ offsets, INDEX* indices
) {
    DYNAMIC_SHARED(unsigned char, shared);
    __shared__ LongRows long_rows;
    __shared__ u32 totals[32];
    const i64 i = rows[blockIdx.x / n_tiles], low = blockIdx.x % n_tiles * tile, high = min(low + tile, n_cols);
    const Factors row = factors_of(i, low, high, n_tiles, a_indptr, a_indices, nullptr, b_indptr, b_indices);
    const Tile own = lay_out<false>(shared, low, high);
    mark_columns(own, row, long_rows);
    write_columns<false>(own, totals, indices + offsets[blockIdx.x]);
}

// Marks before a column: those before its quad, and those below it inside.
__device__ __forceinline__ u32 rank_of(const Tile& own, u32 c) {
    const uint4 quad = own.quads[c >> 7];
    const u32 part = c >> 5 & 3, below = (1u << (c & 31)) - 1;
    u32 n = own.ranks[c >> 7];
    n += __popc(part == 0 ? quad.x & below : quad.x);
    if (part > 0) n += __popc(part == 1 ? quad.y & below : quad.y);
    if (part > 1) n += __popc(part == 2 ? quad.z & below : quad.z);
    if (part > 2) n += __popc(quad.w & below);
    return n;
}

// As list_marks, and adds every product to the value of its column: `values` begins at zero.
extern "C" __global__ void add_marks(
    const i64* __restrict__ rows, i64 n_tiles, i64 tile, i64 n_cols, const i64* __restrict__ a_indptr,
    const A_INDEX* __restrict__ a_indices, const NUMBER* __restrict__ a_values, const i64* __restrict__ b_indptr,
    const INDEX* __restrict__ b_indices, const NUMBER* __restrict__ b_values, const i64* __restrict__ offsets,
    INDEX* indices, NUMBER* values
) {
    DYNAMIC_SHARED(unsigned char, shared);
    __shared__ LongRows long_rows;
    __shared__ u32 totals[32];
    const i64 i = rows[blockIdx.x / n_tiles], low = blockIdx.x % n_tiles * tile, high = min(low + tile, n_cols);
    const Factors row = factors_of(i, low, high, n_tiles, a_indptr, a_indices, a_values, b_indptr, b_indices);
    const Tile own = lay_out<true>(shared, low, high);
    mark_columns(own, row, long_rows);
    const i64 offset = offsets[blockIdx.x];
    write_columns<true>(own, totals, indices + offset);
    __syncthreads();
    NUMBER* sums = values + offset;
    visit_row<true>(row, long_rows, own.bases, own.factors, [&](i64 q, NUMBER f) {
        const u32 c = (u32)((i64)__ldg(b_indices + q) - own.low);
        add_to(sums + rank_of(own, c), b_values ? f * b_values[q] : f);
    });
}
