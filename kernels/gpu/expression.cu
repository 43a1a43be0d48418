// Values and slopes of loss expressions: a block runs one program, a thread an element.
#include "common.cuh"

#ifndef THREADS
#define THREADS 128
#endif

#define EPS 1e-12f

// As in kernels/cpu/expression.py.
enum {
    CODE_END, CODE_CONSTANT, CODE_U, CODE_Y, CODE_N, CODE_ADD, CODE_MUL, CODE_NEG, CODE_ABS,
    CODE_INV, CODE_LOG, CODE_EXP, CODE_TANH, CODE_SQUARE, CODE_SQRT
};

// A number and its slope in u.
struct Dual {
    float value, slope;
};

// Which numbers on the stack carry a logit: a stack of bits, the same in all threads of a block.
struct Bits {
    u64 low = 0, high = 0;

    __device__ __forceinline__ void push(bool bit) {
        high = high << 1 | low >> 63;
        low = low << 1 | (u64)bit;
    }
    __device__ __forceinline__ bool pop() {
        bool bit = low & 1;
        low = low >> 1 | high << 63;
        high >>= 1;
        return bit;
    }
};

// Products and sums that no compiler joins: each is rounded, as on the processor.
__device__ __forceinline__ float times(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ float plus(float a, float b) { return __fadd_rn(a, b); }

// A product with a factor without logits has no part for that factor's slope, which is 0 though
// the other's value may be infinite.
__device__ __forceinline__ Dual product(Dual a, Dual b, bool a_varies, bool b_varies) {
    float slope = 0;
    if (a_varies && b_varies) slope = plus(times(a.slope, b.value), times(a.value, b.slope));
    else if (a_varies) slope = times(a.slope, b.value);
    else if (b_varies) slope = times(b.slope, a.value);
    return {times(a.value, b.value), slope};
}

__device__ __forceinline__ Dual applied(int code, Dual x) {
    float v = x.value, d = x.slope, size;
    switch (code) {
    case CODE_NEG:
        return {-v, -d};
    case CODE_ABS:
        return {fabsf(v), times(d, v > 0 ? 1.0f : v < 0 ? -1.0f : times(v, 0.0f))};
    case CODE_INV:
        v = 1.0f / plus(v, EPS);
        return {v, times(d, -times(v, v))};
    case CODE_LOG:
        size = plus(fabsf(v), EPS);
        return {v >= 0 ? logf(size) : -logf(size), d / size};
    case CODE_EXP:
        v = expf(v);
        return {v, times(d, v)};
    case CODE_TANH:
        v = tanhf(v);
        return {v, times(d, plus(1.0f, -times(v, v)))};
    case CODE_SQUARE:
        return {times(v, v), times(d, times(2.0f, v))};
    default:
        size = sqrtf(plus(fabsf(v), EPS));
        return {v >= 0 ? size : -size, times(d, 0.5f / size)};
    }
}

// The top of the stack lies in registers, what is below it in shared memory, a column a thread.
extern "C" __global__ void __launch_bounds__(THREADS) evaluate(
    const signed char* __restrict__ programs, const float* __restrict__ constants,
    const float* __restrict__ u, const float* __restrict__ y, const float* __restrict__ counts,
    i64 length, i64 n_elements, i64 n_classes, i64 u_stride, float* __restrict__ value,
    float* __restrict__ derivative
) {
    DYNAMIC_SHARED(Dual, below);
    i64 n_chunks = (n_elements + THREADS - 1) / THREADS, b = blockIdx.x / n_chunks;
    i64 at = blockIdx.x % n_chunks * THREADS + threadIdx.x;
    if (at >= n_elements) return;
    float logit = u[b * u_stride + at], label = y[at], count = counts[at % n_classes];
    Dual top = {0, 0};
    Bits varies;
    int depth = 0;
    for (i64 k = b * length; k < (b + 1) * length; ++k) {
        int code = programs[k];
        if (code == CODE_END) break;
        if (code <= CODE_N) {
            if (depth > 0) below[(depth - 1) * THREADS + threadIdx.x] = top;
            ++depth;
            float leaf = code == CODE_U ? logit : code == CODE_Y ? label : count;
            top = {code == CODE_CONSTANT ? constants[k] : leaf, code == CODE_U ? 1.0f : 0.0f};
            varies.push(code == CODE_U);
        } else if (code <= CODE_MUL) {
            --depth;
            Dual left = below[(depth - 1) * THREADS + threadIdx.x];
            bool right_varies = varies.pop(), left_varies = varies.pop();
            if (code == CODE_ADD)
                top = {plus(left.value, top.value), plus(left.slope, top.slope)};
            else
                top = product(left, top, left_varies, right_varies);
            varies.push(left_varies || right_varies);
        } else {
            bool top_varies = varies.pop();
            top = applied(code, top);
            if (!top_varies) top.slope = 0;
            varies.push(top_varies);
        }
    }
    value[b * n_elements + at] = top.value;
    derivative[b * n_elements + at] = top.slope;
}
