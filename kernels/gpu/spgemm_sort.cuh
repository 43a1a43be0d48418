// Sorting in the registers of a warp.
#pragma once
#include "spgemm_rows.cuh"

#ifndef ITEMS
#define ITEMS 8
#endif
#ifndef KEY
#define KEY unsigned int
#endif

#define NO_KEY ((KEY) ~(KEY)0)
#define ROOM (32 * ITEMS)
// Rows a block, a warp each: as many as shared memory that needs no leave has room for.
#define ROWS (ITEMS > 16 ? 2 : 4)

__device__ __forceinline__ void put_in_order(KEY& low, KEY& high) {
    const KEY a = low, b = high;
    low = b < a ? b : a;
    high = b < a ? a : b;
}

// Batcher's bitonic network on 32 * ITEMS keys; key number lane * ITEMS + j is key[j] of the lane.
// Every merge begins with a mirrored step, so that the smaller key always goes to the lower number.
__device__ __forceinline__ void sort_keys(KEY (&key)[ITEMS]) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int size = 2; size <= ROOM; size <<= 1) {
        if (size <= ITEMS) {
#pragma unroll
            for (int j = 0; j < ITEMS; ++j)
                if (j < (j ^ (size - 1))) put_in_order(key[j], key[j ^ (size - 1)]);
        } else {
            const int mirror = size / ITEMS - 1;
            const bool lower = (lane & (size / ITEMS / 2)) == 0;
            KEY other[ITEMS];
#pragma unroll
            for (int j = 0; j < ITEMS; ++j)
                other[j] = __shfl_xor_sync(FULL_WARP, key[ITEMS - 1 - j], mirror);
#pragma unroll
            for (int j = 0; j < ITEMS; ++j)
                if ((other[j] < key[j]) == lower) key[j] = other[j];
        }
#pragma unroll
        for (int step = size / 4; step > 0; step >>= 1) {
            if (step < ITEMS) {
#pragma unroll
                for (int j = 0; j < ITEMS; ++j)
                    if (!(j & step)) put_in_order(key[j], key[j | step]);
            } else {
                const bool lower = (lane & (step / ITEMS)) == 0;
#pragma unroll
                for (int j = 0; j < ITEMS; ++j) {
                    const KEY other = __shfl_xor_sync(FULL_WARP, key[j], step / ITEMS);
                    if ((other < key[j]) == lower) key[j] = other;
                }
            }
        }
    }
}

// Which of a lane's sorted keys, shifted, differ from the key before them, as bits.
__device__ __forceinline__ u32 find_heads(const KEY (&key)[ITEMS], int shift) {
    KEY before = __shfl_up_sync(FULL_WARP, key[ITEMS - 1], 1);
    u32 heads = 0;
#pragma unroll
    for (int j = 0; j < ITEMS; ++j) {
        const bool first = j == 0 && threadIdx.x % 32 == 0;
        if (key[j] != NO_KEY && (first || key[j] >> shift != before >> shift)) heads |= 1u << j;
        before = key[j];
    }
    return heads;
}
