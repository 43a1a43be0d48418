// What every kernel uses: integer types, searches in sorted rows, reductions over a warp.
#pragma once

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;

#ifndef INDEX
#define INDEX int
#endif
#ifndef REAL
#define REAL float
#endif

#ifndef INFINITY  // NVRTC has no math.h
#define INFINITY __int_as_float(0x7f800000)
#endif

#define FULL_WARP 0xffffffffu

// Dynamic shared memory as an array of some type.
#ifdef EMULATED
#define DYNAMIC_SHARED(type, name) type* name = (type*)emulator::dynamic_shared
#else
#define DYNAMIC_SHARED(type, name)                                       \
    extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[]; \
    type* name = (type*)dynamic_shared_bytes
#endif

// The id of the edge at a position.
__device__ __forceinline__ i64 edge_at(const i64* edge_ids, i64 position) {
    return edge_ids ? edge_ids[position] : position;
}

// The first position in [low, high) whose entry is at least key; high if there is none.
template <typename T, typename K>
__device__ __forceinline__ i64 lower_bound(const T* sorted, i64 low, i64 high, K key) {
    while (low < high) {
        i64 middle = (low + high) >> 1;
        if ((K)sorted[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low;
}

// The last place in [low, high) whose entry is at most number; there is one.
template <typename T, typename K>
__device__ __forceinline__ i64 last_at_most(const T* sorted, i64 low, i64 high, K number) {
    while (high - low > 1) {
        i64 middle = (low + high) >> 1;
        if ((K)sorted[middle] <= number) low = middle;
        else high = middle;
    }
    return low;
}

template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) value += __shfl_xor_sync(FULL_WARP, value, step);
    return value;
}

template <typename T>
__device__ __forceinline__ T warp_max(T value) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) {
        T other = __shfl_xor_sync(FULL_WARP, value, step);
        value = other > value ? other : value;
    }
    return value;
}
