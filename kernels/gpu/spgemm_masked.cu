// Products of sparse matrices in the places of a mask.
#include "spgemm_rows.cuh"

// A block a row: adds every product whose column the mask wants to that place, the first of equal
// columns, and notes that it is reached. The mask's rows are sorted. Most columns are not wanted:
// a filter of hashed columns in shared memory, of a power of two of bits, spares them the search.
extern "C" __global__ void add_wanted(
    const i64* __restrict__ rows, const i64* __restrict__ a_indptr, const A_INDEX* __restrict__ a_indices,
    const NUMBER* __restrict__ a_values, const i64* __restrict__ b_indptr, const INDEX* __restrict__ b_indices,
    const NUMBER* __restrict__ b_values, const i64* __restrict__ mask_indptr, const INDEX* __restrict__ mask_indices,
    i64 filter_bits, NUMBER* sums, unsigned char* reached
) {
    DYNAMIC_SHARED(unsigned char, shared);
    __shared__ LongRows long_rows;
    i64* bases = (i64*)shared;
    NUMBER* factors = (NUMBER*)(bases + blockDim.x);
    u32* filter = (u32*)(factors + blockDim.x);
    const i64 i = rows[blockIdx.x], first = mask_indptr[i], end = mask_indptr[i + 1];
    // A column's own low bits: columns side by side then share a word of the filter.
    const u64 mask_bits = (u64)filter_bits - 1;
    for (i64 k = threadIdx.x; k < filter_bits / 32; k += blockDim.x) filter[k] = 0;
    __syncthreads();
    for (i64 p = first + threadIdx.x; p < end; p += blockDim.x) {
        const u64 bit = (u64)mask_indices[p] & mask_bits;
        atomicOr(filter + (bit >> 5), 1u << (bit & 31));
    }
    const Factors row = {a_indptr[i], a_indptr[i + 1], a_indices, a_values, b_indptr, b_indices, 0, 0, false};
    visit_row<true>(row, long_rows, bases, factors, [&](i64 q, NUMBER f) {
        const INDEX column = __ldg(b_indices + q);
        const u64 bit = (u64)column & mask_bits;
        if (!(filter[bit >> 5] >> (bit & 31) & 1)) return;
        const i64 place = lower_bound(mask_indices, first, end, column);
        if (place == end || mask_indices[place] != column) return;
        add_to(sums + place, b_values ? f * b_values[q] : f);
        reached[place] = 1;
    });
}
