// Random walks: one thread a walk.
#include "random.cuh"

// Takes step `step` of every walk: a uniform edge of the node it stands at, or -1.
extern "C" __global__ void advance(
    const i64* indptr, const INDEX* indices, u64 seed, u64 block, i64 step, i64 n_walks, i64 length, i64* walks
) {
    i64 w = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (w >= n_walks) return;
    i64 node = walks[w * length + step], next = -1;
    if (node >= 0) {
        i64 first = indptr[node], degree = indptr[node + 1] - first;
        if (degree > 0)
            next = indices[first + random_below(random_bits(stream_key(seed, block, w), step), degree)];
    }
    walks[w * length + step + 1] = next;
}
