// What a SPADE layer does to its pictures besides convolutions, in two passes over memory. Pictures are fp16 rows
// (n, places, channels): torch's channels_last. A block's threads are (lanes, lines): a lane has 8 channels of a place.

typedef unsigned short half16;

__device__ __forceinline__ float up(half16 h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

__device__ __forceinline__ half16 down(float f) {
    half16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}

__device__ __forceinline__ void unpack(const half16 *from, float *values) {
    const uint4 packed = *(const uint4 *)from;
    const unsigned int words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        values[2 * i] = up((half16)(words[i] & 0xffff));
        values[2 * i + 1] = up((half16)(words[i] >> 16));
    }
}

// Sums over `chunk` places, (n, chunks, 2, channels): of what each value lies above its picture's first, and of the
// squares. So nothing is lost where a channel's mean is much larger than its spread.
extern "C" __global__ void sums(const half16 *x, float *found, long long places, int channels, int chunk) {
    extern __shared__ float room[];
    const int lane = threadIdx.x, line = threadIdx.y, lanes = blockDim.x, lines = blockDim.y;
    const long long picture = blockIdx.y, first = (long long)blockIdx.x * chunk;
    const long long last = first + chunk < places ? first + chunk : places;
    const half16 *here = x + picture * places * channels + 8 * lane;
    float base[8], value[8], sum[8] = {}, square[8] = {};
    unpack(here, base);
    for (long long place = first + line; place < last; place += lines) {
        unpack(here + place * channels, value);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const float above = value[i] - base[i];
            sum[i] += above;
            square[i] += above * above;
        }
    }
    float *mine = room + 16 * (line * lanes + lane);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        mine[i] = sum[i];
        mine[8 + i] = square[i];
    }
    __syncthreads();
    if (line == 0) {
        for (int other = 1; other < lines; other++) {
            const float *theirs = room + 16 * (other * lanes + lane);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                sum[i] += theirs[i];
                square[i] += theirs[8 + i];
            }
        }
        float *out = found + (picture * gridDim.x + blockIdx.x) * 2 * channels + 8 * lane;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            out[i] = sum[i];
            out[channels + i] = square[i];
        }
    }
}

// The mean of each channel of each picture, and one by its standard deviation: (n, 2, channels).
extern "C" __global__ void moments(const half16 *x, const float *found, float *out, long long places, int channels,
                                   int chunks, float eps) {
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    const long long picture = blockIdx.y;
    if (channel >= channels) return;
    float sum = 0.0f, square = 0.0f;
    for (int chunk = 0; chunk < chunks; chunk++) {
        const float *from = found + (picture * chunks + chunk) * 2 * channels + channel;
        sum += from[0];
        square += from[channels];
    }
    const float above = sum / places;
    const float variance = fmaxf(square / places - above * above, 0.0f);
    out[picture * 2 * channels + channel] = up(x[picture * places * channels + channel]) + above;
    out[(picture * 2 + 1) * channels + channel] = rsqrtf(variance + eps);
}

__device__ __forceinline__ void pack(const float *values, half16 *to) {
    unsigned int words[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        words[i] = (unsigned int)down(values[2 * i]) | (unsigned int)down(values[2 * i + 1]) << 16;
    *(uint4 *)to = make_uint4(words[0], words[1], words[2], words[3]);
}

// Leaky ReLU of pictures that are normalised, scaled by 1 + gamma and shifted by beta. `change` (n, places, 2 *
// channels) holds gamma and then beta, less `bias` (2 * channels).
extern "C" __global__ void modulate(const half16 *x, const float *moment, const half16 *change, const half16 *bias,
                                    half16 *y, long long places, int channels, float slope) {
    const int lane = threadIdx.x;
    const long long place = (long long)blockIdx.x * blockDim.y + threadIdx.y, picture = blockIdx.y;
    if (place >= places) return;
    const long long row = picture * places + place;
    const float *mean = moment + picture * 2 * channels + 8 * lane, *scale = mean + channels;
    float value[8], gamma[8], beta[8], more[8], shift[8];
    unpack(x + row * channels + 8 * lane, value);
    unpack(change + row * 2 * channels + 8 * lane, gamma);
    unpack(change + row * 2 * channels + channels + 8 * lane, beta);
    unpack(bias + 8 * lane, more);
    unpack(bias + channels + 8 * lane, shift);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float moved = (value[i] - mean[i]) * scale[i] * (1.0f + gamma[i] + more[i]) + beta[i] + shift[i];
        value[i] = moved > 0.0f ? moved : slope * moved;
    }
    pack(value, y + row * channels + 8 * lane);
}

// Leaky ReLU of rows (rows, channels) plus `bias`, and plus `other` where it is given.
extern "C" __global__ void finish(const half16 *x, const half16 *bias, const half16 *other, half16 *y, long long eights,
                                  int lanes, float slope) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= eights) return;
    float value[8], shift[8], more[8] = {};
    unpack(x + 8 * at, value);
    unpack(bias + 8 * (at % lanes), shift);
    if (other) unpack(other + 8 * at, more);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float moved = value[i] + shift[i] + more[i];
        value[i] = moved > 0.0f ? moved : slope * moved;
    }
    pack(value, y + 8 * at);
}

// Pictures at `times` their width and height: each place is repeated. Threads are those of the larger picture.
extern "C" __global__ void enlarge(const half16 *x, half16 *y, long long eights, int lanes, int width, int height,
                                   int times) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= eights) return;
    const long long place = at / lanes;
    const int column = (int)(place % width) / times;
    const long long line = place / width, picture = line / height;
    const int row = (int)(line % height) / times;
    const long long from = (picture * (height / times) + row) * (width / times) + column;
    ((uint4 *)y)[at] = ((const uint4 *)x)[from * lanes + at % lanes];
}
