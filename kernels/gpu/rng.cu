// Random bits by counter.
#include "random.cuh"

// A thread a row: number `draw` of its stream.
extern "C" __global__ void fill(
    u64 seed, u64 block, const i64* rows, i64 n_rows, u64 draw, u64* bits
) {
    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i < n_rows) bits[i] = random_bits(stream_key(seed, block, rows[i]), draw);
}
