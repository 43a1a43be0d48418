// Sums over the pieces of heavy rows.
#include "rows.cuh"

// A block adds 32 columns of one heavy row: each warp every 16th piece, then the warps in order.
extern "C" __global__ void __launch_bounds__(512) add_pieces(
    const i64* heavy, const REAL* partial, i64 width, i64 n_tiles, const REAL* scale, REAL* sums
) {
    __shared__ REAL by_warp[16][33];
    i64 at = blockIdx.x / (u32)n_tiles, column = blockIdx.x % (u32)n_tiles * 32 + threadIdx.x % 32;
    i64 row = heavy[3 * at], last = heavy[3 * at + 2];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    REAL sum = 0;
    if (column < width) {
#pragma unroll 4
        for (i64 piece = heavy[3 * at + 1] + warp; piece < last; piece += 16)
            sum += partial[piece * width + column];
    }
    by_warp[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < width) {
        for (int w = 1; w < 16; ++w) sum += by_warp[w][lane];
        sums[row * width + column] = scale ? sum * scale[row] : sum;
    }
}
