// What lies between the convolutions of LivePortrait's and SadTalker's renderers. Pictures are fp16 rows (n, places,
// channels), torch's channels_last, and volumes (n, depth, height, width, channels), its channels_last_3d.

typedef unsigned short half16;

#define MOST_KINDS 64
#define PLACES 8    // that a block of `inputs` prepares
#define ROW 64      // places that a block of `moved` looks at

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

__device__ __forceinline__ void add(const half16 *from, float weight, float *values) {
    float more[8];
    unpack(from, more);
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] += weight * more[i];
}

__device__ __forceinline__ void pack(const float *values, half16 *to) {
    unsigned int words[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        words[i] = (unsigned int)down(values[2 * i]) | (unsigned int)down(values[2 * i + 1]) << 16;
    *(uint4 *)to = make_uint4(words[0], words[1], words[2], words[3]);
}

// A SPADE layer, in two passes over memory. A block's threads are (lanes, lines): a lane has 8 channels of a place.
// First, sums over `chunk` places, (n, chunks, 2, channels): of what each value lies above its picture's first, and of the
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

// A warping network, at its two ends: what its hourglass is given, and what becomes of its masks. Places lie in -1..1
// (right, down, in), as torch's grid_sample takes them.

// Where cell `i` of `size` lies: the first at -1, the last at 1.
__device__ __forceinline__ float place(int i, int size) { return 2.0f * ((float)i / (size - 1)) - 1.0f; }

// Eight channels of a volume at a place, trilinear, zero outside.
__device__ void look_up(const half16 *volume, int channels, int first, float x, float y, float z, int depth, int height,
                        int width, float *values) {
    const float column = ((x + 1.0f) * width - 1.0f) / 2.0f, row = ((y + 1.0f) * height - 1.0f) / 2.0f;
    const float layer = ((z + 1.0f) * depth - 1.0f) / 2.0f;
    // Far outside, a whole number might not hold it.
    if (!(column > -1.0f && column < width && row > -1.0f && row < height && layer > -1.0f && layer < depth)) return;
    const int left = (int)floorf(column), top = (int)floorf(row), front = (int)floorf(layer);
    const float right = column - left, below = row - top, behind = layer - front;
#pragma unroll
    for (int corner = 0; corner < 8; corner++) {
        const int i = left + (corner & 1), j = top + (corner >> 1 & 1), k = front + (corner >> 2);
        if (i < 0 || i >= width || j < 0 || j >= height || k < 0 || k >= depth) continue;
        const float weight = (corner & 1 ? right : 1.0f - right) * (corner >> 1 & 1 ? below : 1.0f - below) *
                             (corner >> 2 ? behind : 1.0f - behind);
        add(volume + (((long long)k * height + j) * width + i) * channels + first, weight, values);
    }
}

__device__ __forceinline__ float near(float x, float y, float z, const float *point, float variance) {
    const float across = x - point[0], along = y - point[1], into = z - point[2];
    return expf(-0.5f * (across * across + along * along + into * into) / variance);
}

// For each place, and for standing still and each keypoint: how much nearer the keypoint has come, and what is seen
// (depth, height, width, 8; `known` channels of it) from where it moves to here. Threads take (place, keypoint) pairs.
extern "C" __global__ void inputs(const half16 *seen, const float *still, const float *points, half16 *out, int depth,
                                  int height, int width, int kinds, int known, int channels, float variance) {
    extern __shared__ uint4 prepared[];
    half16 *rows = (half16 *)prepared;
    const int places = depth * height * width, first = blockIdx.x * PLACES, picture = blockIdx.y;
    for (int i = threadIdx.x; i < PLACES * channels; i += blockDim.x) rows[i] = 0;
    __syncthreads();
    for (int item = threadIdx.x; item < PLACES * kinds; item += blockDim.x) {
        const int here = first + item / kinds, kind = item % kinds;
        if (here >= places) continue;
        float x = place(here % width, width), y = place(here / width % height, height);
        float z = place(here / width / height, depth), heat = 0.0f, values[8] = {};
        if (kind > 0) {
            const float *to = points + (picture * (kinds - 1) + kind - 1) * 3, *from = still + (kind - 1) * 3;
            heat = near(x, y, z, to, variance) - near(x, y, z, from, variance);
            x = x - to[0] + from[0];
            y = y - to[1] + from[1];
            z = z - to[2] + from[2];
        }
        look_up(seen, 8, 0, x, y, z, depth, height, width, values);
        half16 *row = rows + item / kinds * channels + kind * (1 + known);
        row[0] = down(heat);
        for (int i = 0; i < known; i++) row[1 + i] = down(values[i]);
    }
    __syncthreads();
    const int left = places - first < PLACES ? places - first : PLACES, eights = left * channels / 8;
    uint4 *to = (uint4 *)(out + ((long long)picture * places + first) * channels);
    for (int i = threadIdx.x; i < eights; i += blockDim.x) to[i] = prepared[i];
}

// The sum over `taps` neighbouring layers of what each contributes, plus bias, and no less than zero. `slices`
// (n * depth, places, taps, channels); threads take eight channels of a place.
extern "C" __global__ void gather(const half16 *slices, const float *bias, half16 *out, long long eights, int depth,
                                  int places, int taps, int channels) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= eights) return;
    const int lanes = channels / 8, lane = (int)(at % lanes);
    const long long row = at / lanes, plane = row / places, here = row % places;
    const int layer = (int)(plane % depth);
    float values[8];
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = bias[8 * lane + i];
    for (int tap = 0; tap < taps; tap++) {
        const int away = tap - taps / 2;
        if (layer + away < 0 || layer + away >= depth) continue;
        add(slices + (((plane + away) * places + here) * taps + tap) * channels + 8 * lane, 1.0f, values);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = values[i] < 0.0f ? 0.0f : values[i];  // not fmaxf, which drops NaN
    pack(values, out + 8 * at);
}

// Softmax over the masks, which come as slices as above (`wide` values, of which `kinds` count); the place that those
// of a share of at least `least` agree on; and the portrait's volume (depth, height, width, channels) there, or NaN where
// shares or that place are not finite. Out: (n, height, width, depth, channels).
extern "C" __global__ void moved(const half16 *slices, const float *bias, const half16 *volume, const float *still,
                                 const float *points, half16 *out, int depth, int height, int width, int kinds, int wide,
                                 int taps, int channels, float least) {
    __shared__ float masks[ROW][MOST_KINDS + 1], goal[ROW][3];
    const int places = height * width, first = blockIdx.x * ROW, layer = blockIdx.y, picture = blockIdx.z;
    const int left = places - first < ROW ? places - first : ROW;
    for (int item = threadIdx.x; item < left * (wide / 8); item += blockDim.x) {
        const int here = item / (wide / 8), lane = item % (wide / 8);
        float values[8];
        for (int i = 0; i < 8; i++) values[i] = bias[8 * lane + i];
        for (int tap = 0; tap < taps; tap++) {
            const int away = tap - taps / 2;
            if (layer + away < 0 || layer + away >= depth) continue;
            const long long plane = (long long)picture * depth + layer + away;
            add(slices + ((plane * places + first + here) * taps + tap) * wide + 8 * lane, 1.0f, values);
        }
        for (int i = 0; i < 8; i++) masks[here][8 * lane + i] = values[i];
    }
    __syncthreads();
    for (int here = threadIdx.x; here < left; here += blockDim.x) {
        float highest = masks[here][0], sum = 0.0f, at[3] = {};
        for (int kind = 1; kind < kinds; kind++) highest = fmaxf(highest, masks[here][kind]);
        for (int kind = 0; kind < kinds; kind++) sum += masks[here][kind] = expf(masks[here][kind] - highest);
        const float grid[3] = {place((first + here) % width, width), place((first + here) / width, height),
                               place(layer, depth)};
        for (int kind = 0; kind < kinds; kind++) {
            const float *to = points + (picture * (kinds - 1) + kind - 1) * 3, *from = still + (kind - 1) * 3;
            const float share = masks[here][kind] / sum;
            for (int i = 0; i < 3 && share >= least; i++) at[i] += share * (kind ? grid[i] - to[i] + from[i] : grid[i]);
        }
        for (int i = 0; i < 3; i++) goal[here][i] = isfinite(sum) ? at[i] : nanf("");
    }
    __syncthreads();
    for (int item = threadIdx.x; item < left * (channels / 8); item += blockDim.x) {
        const int here = item / (channels / 8), lane = item % (channels / 8);
        const float x = goal[here][0], y = goal[here][1], z = goal[here][2];
        const float none = isfinite(x + y + z) ? 0.0f : nanf("");
        float values[8];
        for (int i = 0; i < 8; i++) values[i] = none;
        look_up(volume, channels, 8 * lane, x, y, z, depth, height, width, values);
        pack(values, out + (((long long)picture * places + first + here) * depth + layer) * channels + 8 * lane);
    }
}
