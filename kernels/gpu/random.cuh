// The counter-based random numbers of kernels/rng.py: the same integers.
#pragma once
#include "common.cuh"

#define GOLDEN 0x9E3779B97F4A7C15ull

// A bijection of 64-bit words in which every input bit changes about half the output bits.
__device__ __forceinline__ u64 mix_bits(u64 bits) {
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ull;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBull;
    return bits ^ (bits >> 31);
}

// Key of the stream of (seed, block, row).
__device__ __forceinline__ u64 stream_key(u64 seed, u64 block, u64 row) {
    u64 key = mix_bits(seed + GOLDEN);
    key = mix_bits((key ^ block) + GOLDEN);
    return mix_bits((key ^ row) + GOLDEN);
}

// Number `draw` of a stream: 64 uniform bits.
__device__ __forceinline__ u64 random_bits(u64 key, u64 draw) {
    return mix_bits(key + (draw + 1) * GOLDEN);
}

// A uniform integer in [0, n), 0 for n = 0.
__device__ __forceinline__ i64 random_below(u64 bits, u64 n) { return (i64)__umul64hi(bits, n); }

// A uniform multiple of 2^-53 in [0, 1).
__device__ __forceinline__ double random_unit(u64 bits) {
    return (double)(bits >> 11) * 1.1102230246251565e-16;
}
