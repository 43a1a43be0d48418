// Softmax over the edges of each row, and its derivative: a team a row, or a piece of a heavy one.
#include "rows.cuh"

// What a multiprocessor is to hold; exponentials of doubles need many registers.
#define BLOCKS (sizeof(REAL) > 4 ? 2 : 4)

// Lanes lie over the columns, groups over the edges. Light rows are read three times, but once from
// memory; pieces leave their largest score and their sum of exponentials.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) soften_rows(
    const i64* __restrict__ indptr, const i64* __restrict__ edge_ids,
    const REAL* __restrict__ scores, const i64* __restrict__ pieces, i64 n_rows, i64 n_pieces,
    i64 most, i64 width, REAL* __restrict__ alpha, REAL* __restrict__ piece_top,
    REAL* __restrict__ piece_sum
) {
    Place place = place_of_thread();
    Work work = work_of(place.team, indptr, n_rows, pieces, n_pieces, most);
    for (i64 begin = 0; begin < width; begin += LANES) {
        i64 column = begin + place.slot;
        int n = column < width ? work.n : 0;
        REAL top = -(REAL)INFINITY, sum = 0;
#pragma unroll 4
        for (int q = place.group; q < n; q += GROUPS)
            top = larger_of(top, scores[edge_at(edge_ids, work.first + q) * width + column]);
#pragma unroll
        for (int step = LANES; step < TEAM; step <<= 1)
            top = larger_of(top, __shfl_xor_sync(FULL_WARP, top, step));
        REAL shift = work.piece < 0 ? top : shift_of(top);
#pragma unroll 4
        for (int q = place.group; q < n; q += GROUPS)
            sum += exp(scores[edge_at(edge_ids, work.first + q) * width + column] - shift);
#pragma unroll
        for (int step = LANES; step < TEAM; step <<= 1)
            sum += __shfl_xor_sync(FULL_WARP, sum, step);
        if (work.piece >= 0) {
            if (place.group == 0 && column < width) {
                piece_top[work.piece * width + column] = top;
                piece_sum[work.piece * width + column] = sum;
            }
            continue;
        }
        REAL share = 1 / sum;
#pragma unroll 4
        for (int q = place.group; q < n; q += GROUPS) {
            i64 at = edge_at(edge_ids, work.first + q) * width + column;
            alpha[at] = exp(scores[at] - shift) * share;
        }
    }
}

// A warp joins what the pieces of one heavy row found in one column: what to subtract from scores,
// and what to multiply exponentials by.
extern "C" __global__ void __launch_bounds__(256) join_pieces(
    const i64* heavy, const REAL* piece_top, const REAL* piece_sum, i64 n_heavy, i64 width,
    REAL* row_top, REAL* row_share
) {
    i64 item = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (item >= n_heavy * width) return;
    i64 column = item % width, row = heavy[item / width * 3];
    i64 first = heavy[item / width * 3 + 1], last = heavy[item / width * 3 + 2];
    REAL top = -(REAL)INFINITY, sum = 0;
    for (i64 piece = first + lane; piece < last; piece += 32)
        top = larger_of(top, piece_top[piece * width + column]);
    top = warp_max(top);
    for (i64 piece = first + lane; piece < last; piece += 32)
        sum += piece_sum[piece * width + column] * exp(piece_top[piece * width + column] - top);
    sum = warp_sum(sum);
    if (lane > 0) return;
    row_top[row * width + column] = top;
    row_share[row * width + column] = 1 / sum;
}

// A team writes the weights of a piece.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) soften_pieces(
    const i64* __restrict__ pieces, const i64* __restrict__ edge_ids,
    const REAL* __restrict__ scores, const REAL* __restrict__ row_top,
    const REAL* __restrict__ row_share, i64 n_pieces, i64 width, REAL* __restrict__ alpha
) {
    Place place = place_of_thread();
    if (place.team >= n_pieces) return;
    Work work = work_of(place.team, nullptr, 0, pieces, n_pieces, 0);
    for (i64 column = place.slot; column < width; column += LANES) {
        REAL top = row_top[work.row * width + column], share = row_share[work.row * width + column];
#pragma unroll 4
        for (int q = place.group; q < work.n; q += GROUPS) {
            i64 at = edge_at(edge_ids, work.first + q) * width + column;
            alpha[at] = exp(scores[at] - top) * share;
        }
    }
}

// As `soften_rows`, for the derivative: light rows wholly, of pieces the sum of alpha times grad.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) derive_rows(
    const i64* __restrict__ indptr, const i64* __restrict__ edge_ids,
    const REAL* __restrict__ alpha, const REAL* __restrict__ grad, const i64* __restrict__ pieces,
    i64 n_rows, i64 n_pieces, i64 most, i64 width, REAL* __restrict__ product,
    REAL* __restrict__ piece_sum
) {
    Place place = place_of_thread();
    Work work = work_of(place.team, indptr, n_rows, pieces, n_pieces, most);
    for (i64 begin = 0; begin < width; begin += LANES) {
        i64 column = begin + place.slot;
        int n = column < width ? work.n : 0;
        REAL mean = 0;
#pragma unroll 4
        for (int q = place.group; q < n; q += GROUPS) {
            i64 at = edge_at(edge_ids, work.first + q) * width + column;
            mean += alpha[at] * grad[at];
        }
#pragma unroll
        for (int step = LANES; step < TEAM; step <<= 1)
            mean += __shfl_xor_sync(FULL_WARP, mean, step);
        if (work.piece >= 0) {
            if (place.group == 0 && column < width) piece_sum[work.piece * width + column] = mean;
            continue;
        }
#pragma unroll 4
        for (int q = place.group; q < n; q += GROUPS) {
            i64 at = edge_at(edge_ids, work.first + q) * width + column;
            product[at] = alpha[at] * (grad[at] - mean);
        }
    }
}

// A team writes the derivative at the edges of a piece.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) derive_pieces(
    const i64* __restrict__ pieces, const i64* __restrict__ edge_ids,
    const REAL* __restrict__ alpha, const REAL* __restrict__ grad,
    const REAL* __restrict__ row_mean, i64 n_pieces, i64 width, REAL* __restrict__ product
) {
    Place place = place_of_thread();
    if (place.team >= n_pieces) return;
    Work work = work_of(place.team, nullptr, 0, pieces, n_pieces, 0);
    for (i64 column = place.slot; column < width; column += LANES) {
        REAL mean = row_mean[work.row * width + column];
#pragma unroll 4
        for (int q = place.group; q < work.n; q += GROUPS) {
            i64 at = edge_at(edge_ids, work.first + q) * width + column;
            product[at] = alpha[at] * (grad[at] - mean);
        }
    }
}
