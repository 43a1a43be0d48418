// Adam on the numbers of many models: a block moves a stretch of one model's.
#include "common.cuh"

#ifndef STRETCH
#define STRETCH 1024
#endif

extern "C" __global__ void __launch_bounds__(256) move_numbers(
    REAL* __restrict__ parameter, const REAL* __restrict__ gradient, REAL* __restrict__ moment,
    REAL* __restrict__ square, const double* __restrict__ rate, double correction, REAL root,
    REAL keep_m, REAL keep_v, REAL add_m, REAL add_v, REAL eps, REAL decay, i64 n, i64 n_each
) {
    i64 model = blockIdx.x / n_each, begin = blockIdx.x % n_each * STRETCH;
    i64 end = begin + STRETCH < n ? begin + STRETCH : n;
    REAL size = (REAL)(rate[model] / correction);
    for (i64 i = model * n + begin + threadIdx.x; i < model * n + end; i += blockDim.x) {
        REAL g = gradient[i] + decay * parameter[i];
        REAL m = keep_m * moment[i] + add_m * g;
        REAL v = keep_v * square[i] + add_v * (g * g);
        moment[i] = m;
        square[i] = v;
        parameter[i] -= size * m / (sqrt(v) * root + eps);
    }
}
