// What torch does in several passes over memory, in one. Values are fp16, computed in fp32 and rounded to fp16 after each
// of torch's own steps, so that the result has torch's bits; where it has not, the comment says so.
// Pictures are (n, channels, places) or, as rows, (n, places, channels); both dimensions are multiples of 8.

typedef unsigned short half16;

__device__ float up(half16 h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  return f;
}

__device__ half16 down(float f) {
  half16 h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
  return h;
}

__device__ float rounded(float f) { return up(down(f)); }

struct __align__(16) Eight {
  half16 v[8];
};

__device__ Eight load(const half16* p) { return *reinterpret_cast<const Eight*>(p); }
__device__ void store(half16* p, const Eight& e) { *reinterpret_cast<Eight*>(p) = e; }

__device__ float silu(float x) { return x / (1.0f + expf(-x)); }

#define EACH(total) \
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (total); i += (long long)gridDim.x * blockDim.x)

// rows of (value, gate) -> value * gelu(gate)
extern "C" __global__ void geglu(const half16* x, half16* y, long long rows, int inner) {
  int vectors = inner / 8;
  EACH(rows * vectors) {
    long long row = i / vectors;
    int at = (int)(i % vectors) * 8;
    Eight a = load(x + row * 2 * inner + at), g = load(x + row * 2 * inner + inner + at), out;
    for (int k = 0; k < 8; ++k) {
      float gate = up(g.v[k]);
      float bent = gate * 0.5f * (1.0f + erff(gate * 0.70710678118654752440f));
      out.v[k] = down(up(a.v[k]) * rounded(bent));
    }
    store(y + row * inner + at, out);
  }
}

// rows + one value a channel, then + `before` where given
extern "C" __global__ void add_channels(const half16* x, const half16* bias, const half16* before, half16* y,
                                        long long rows, int channels) {
  int vectors = channels / 8;
  EACH(rows * vectors) {
    int at = (int)(i % vectors) * 8;
    Eight a = load(x + i * 8), b = load(bias + at), out;
    for (int k = 0; k < 8; ++k) out.v[k] = down(up(a.v[k]) + up(b.v[k]));
    if (before) {
      a = load(before + i * 8);
      for (int k = 0; k < 8; ++k) out.v[k] = down(up(a.v[k]) + up(out.v[k]));
    }
    store(y + i * 8, out);
  }
}

// rows * one value a row, which repeats every `period` rows
extern "C" __global__ void scale_rows(const half16* x, const half16* scale, half16* y, long long rows, int channels,
                                      int period) {
  int vectors = channels / 8;
  EACH(rows * vectors) {
    float m = up(scale[(i / vectors) % period]);
    Eight a = load(x + i * 8), out;
    for (int k = 0; k < 8; ++k) out.v[k] = down(up(a.v[k]) * m);
    store(y + i * 8, out);
  }
}

// places + weighted sum of three convolutions that have not got their biases yet
extern "C" __global__ void mix(const half16* z0, const half16* z1, const half16* z2, const half16* b0, const half16* b1,
                               const half16* b2, float w0, float w1, float w2, const half16* places, half16* y,
                               long long rows, int channels) {
  int vectors = channels / 8;
  EACH(rows * vectors) {
    int at = (int)(i % vectors) * 8;
    Eight a0 = load(z0 + i * 8), a1 = load(z1 + i * 8), a2 = load(z2 + i * 8), p = load(places + i * 8), out;
    Eight c0 = load(b0 + at), c1 = load(b1 + at), c2 = load(b2 + at);
    for (int k = 0; k < 8; ++k) {
      float s = rounded(w0 * rounded(up(a0.v[k]) + up(c0.v[k]))) + rounded(w1 * rounded(up(a1.v[k]) + up(c1.v[k])));
      s = rounded(s) + rounded(w2 * rounded(up(a2.v[k]) + up(c2.v[k])));
      out.v[k] = down(rounded(s) + up(p.v[k]));
    }
    store(y + i * 8, out);
  }
}

// (halves, frames, places, channels) + one row a frame -> (halves, places, frames, channels)
extern "C" __global__ void time_in(const half16* x, const half16* when, half16* y, int halves, int frames, int places,
                                   int channels) {
  int vectors = channels / 8;
  EACH((long long)halves * frames * places * vectors) {
    int at = (int)(i % vectors) * 8;
    long long rest = i / vectors;
    int place = (int)(rest % places), frame = (int)(rest / places % frames), part = (int)(rest / places / frames);
    Eight a = load(x + i * 8), w = load(when + frame * channels + at), out;
    for (int k = 0; k < 8; ++k) out.v[k] = down(up(a.v[k]) + up(w.v[k]));
    store(y + (((long long)part * places + place) * frames + frame) * channels + at, out);
  }
}

// the way back, added to what was there: (halves, places, frames, channels) + (halves, frames, places, channels)
extern "C" __global__ void time_out(const half16* x, const half16* before, half16* y, int halves, int frames, int places,
                                    int channels) {
  int vectors = channels / 8;
  EACH((long long)halves * frames * places * vectors) {
    int at = (int)(i % vectors) * 8;
    long long rest = i / vectors;
    int place = (int)(rest % places), frame = (int)(rest / places % frames), part = (int)(rest / places / frames);
    Eight a = load(x + (((long long)part * places + place) * frames + frame) * channels + at), b = load(before + i * 8);
    Eight out;
    for (int k = 0; k < 8; ++k) out.v[k] = down(up(a.v[k]) + up(b.v[k]));
    store(y + i * 8, out);
  }
}

#define TILE 64

// (n, channels, places) -> (n, places, channels), through silu if `bend`
extern "C" __global__ void to_rows(const half16* x, half16* y, int channels, int places, int bend) {
  __shared__ half16 tile[TILE][TILE + 2];
  int p0 = blockIdx.x * TILE, c0 = blockIdx.y * TILE;
  long long base = (long long)blockIdx.z * channels * places;
  for (int i = threadIdx.x; i < TILE * TILE / 8; i += blockDim.x) {
    int c = i / (TILE / 8), p = i % (TILE / 8) * 8;
    if (c0 + c < channels && p0 + p < places) {
      Eight a = load(x + base + (long long)(c0 + c) * places + p0 + p);
      for (int k = 0; k < 8; ++k) tile[c][p + k] = a.v[k];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < TILE * TILE / 8; i += blockDim.x) {
    int p = i / (TILE / 8), c = i % (TILE / 8) * 8;
    if (c0 + c < channels && p0 + p < places) {
      Eight out;
      for (int k = 0; k < 8; ++k) out.v[k] = bend ? down(silu(up(tile[c + k][p]))) : tile[c + k][p];
      store(y + base + (long long)(p0 + p) * channels + c0 + c, out);
    }
  }
}

// (n, places, channels) -> (n, channels, places); + bias, + time (one row for each half of n), + before, where given.
// Of every `frames + skip` pictures the first `skip` are left out.
extern "C" __global__ void to_pictures(const half16* x, const half16* bias, const half16* time, const half16* before,
                                       half16* y, int channels, int places, int frames, int skip) {
  __shared__ half16 tile[TILE][TILE + 2];
  int p0 = blockIdx.x * TILE, c0 = blockIdx.y * TILE, n = blockIdx.z;
  long long from = ((long long)(n / frames) * (frames + skip) + skip + n % frames) * channels * places;
  long long to = (long long)n * channels * places;
  const half16* when = time + (n >= (int)gridDim.z / 2 ? channels : 0);
  for (int i = threadIdx.x; i < TILE * TILE / 8; i += blockDim.x) {
    int p = i / (TILE / 8), c = i % (TILE / 8) * 8;
    if (c0 + c < channels && p0 + p < places) {
      Eight a = load(x + from + (long long)(p0 + p) * channels + c0 + c);
      for (int k = 0; k < 8; ++k) {
        float v = up(a.v[k]);
        if (bias) v = rounded(v + up(bias[c0 + c + k]));
        if (time) v = rounded(v + up(when[c0 + c + k]));
        tile[p][c + k] = down(v);
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < TILE * TILE / 8; i += blockDim.x) {
    int c = i / (TILE / 8), p = i % (TILE / 8) * 8;
    if (c0 + c < channels && p0 + p < places) {
      long long at = (long long)(c0 + c) * places + p0 + p;
      Eight out;
      for (int k = 0; k < 8; ++k) out.v[k] = tile[p + k][c];
      if (before) {
        Eight b = load(before + from + at);
        for (int k = 0; k < 8; ++k) out.v[k] = down(up(b.v[k]) + up(out.v[k]));
      }
      store(y + to + at, out);
    }
  }
}

#define GROUPS 32

// Sums and sums of squares of the groups of rows (n, places, channels) + `extra` (one value a channel, where given), a
// chunk of places each: partial[n][chunk][group][2]. Not torch's bits: it sums in another order.
// Threads: channels / 8 times `lines`; shared memory: 2 * lines * channels floats.
extern "C" __global__ void group_sums(const half16* __restrict__ x, const half16* extra, float* partial, int channels, int places,
                                      int chunk, int lines) {
  extern __shared__ float sums[];
  int vectors = channels / 8, vector = threadIdx.x % vectors, line = threadIdx.x / vectors, n = blockIdx.y;
  float sum[8], square[8], add[8];
  for (int k = 0; k < 8; ++k) {
    sum[k] = square[k] = 0.0f;
    add[k] = extra ? up(extra[vector * 8 + k]) : 0.0f;
  }
  int last = min((int)(blockIdx.x + 1) * chunk, places);
  for (int place = blockIdx.x * chunk + line; place < last; place += lines) {
    Eight a = load(x + ((long long)n * places + place) * channels + vector * 8);
    for (int k = 0; k < 8; ++k) {
      float v = rounded(up(a.v[k]) + add[k]);
      sum[k] += v;
      square[k] += v * v;
    }
  }
  for (int k = 0; k < 8; ++k) {
    sums[(line * channels + vector * 8 + k) * 2] = sum[k];
    sums[(line * channels + vector * 8 + k) * 2 + 1] = square[k];
  }
  __syncthreads();
  int width = channels / GROUPS;
  if (threadIdx.x < GROUPS * 2) {
    int group = threadIdx.x / 2, which = threadIdx.x % 2;
    float total = 0.0f;
    for (int l = 0; l < lines; ++l)
      for (int c = group * width; c < (group + 1) * width; ++c) total += sums[(l * channels + c) * 2 + which];
    partial[(((long long)n * gridDim.x + blockIdx.x) * GROUPS + group) * 2 + which] = total;
  }
}

// Group norm of rows by those sums, then silu if `bend`.
// Shared memory: 2 * channels floats.
extern "C" __global__ void group_apply(const half16* __restrict__ x, const half16* extra, const float* partial,
                                       const half16* weight, const half16* bias, half16* __restrict__ y, int channels,
                                       int places, int chunks, int rows, float eps, int bend) {
  __shared__ float mean[GROUPS], scale[GROUPS];
  extern __shared__ float factor[];
  float* offset = factor + channels;
  int vectors = channels / 8, width = channels / GROUPS, n = blockIdx.y;
  if (threadIdx.x < GROUPS) {
    float sum = 0.0f, square = 0.0f;
    for (int c = 0; c < chunks; ++c) {
      sum += partial[(((long long)n * chunks + c) * GROUPS + threadIdx.x) * 2];
      square += partial[(((long long)n * chunks + c) * GROUPS + threadIdx.x) * 2 + 1];
    }
    float count = (float)width * places, m = sum / count;
    mean[threadIdx.x] = m;
    scale[threadIdx.x] = rsqrtf(fmaxf(square / count - m * m, 0.0f) + eps);
  }
  __syncthreads();
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    float a = scale[c / width] * up(weight[c]);
    factor[c] = a;
    offset[c] = up(bias[c]) - mean[c / width] * a;
  }
  __syncthreads();
  int first = blockIdx.x * rows, last = min(first + rows, places);
  const half16* from = x + ((long long)n * places + first) * channels;
  half16* to = y + ((long long)n * places + first) * channels;
  for (int i = threadIdx.x; i < (last - first) * vectors; i += blockDim.x) {
    int c = i % vectors * 8;
    Eight a = load(from + (long long)i * 8), out;
    float v[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) v[k] = up(a.v[k]);
    if (extra) {
      Eight e = load(extra + c);
#pragma unroll
      for (int k = 0; k < 8; ++k) v[k] = rounded(v[k] + up(e.v[k]));
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      v[k] = v[k] * factor[c + k] + offset[c + k];
      out.v[k] = down(bend ? silu(rounded(v[k])) : v[k]);
    }
    store(to + (long long)i * 8, out);
  }
}

// Attention of each place over time. qkv: (halves, frames, places, 3 * channels), to which `when` (frames, 3 * channels)
// is added; y: (halves, queries, places, channels), for the last `queries` frames. A block takes one place and `heads`
// heads, a thread N queries of one head. Not torch's bits.
// Shared memory: 2 * frames * (heads * size + 4) floats; the 4 keep rows in different banks.
template <int N, int frames>
__device__ void attend_over_time(const half16* __restrict__ qkv, const half16* __restrict__ when, half16* __restrict__ y,
                                 int queries, int places, int channels, int size, int heads, float scale) {
  extern __shared__ float kept[];
  int wide = heads * size, line = wide + 4, c0 = blockIdx.y * wide, place = blockIdx.x % places;
  int part = blockIdx.x / places, each = (queries + N - 1) / N;
  const half16* from = qkv + ((long long)part * frames * places + place) * 3 * channels + c0;
  long long step = (long long)places * 3 * channels;
#pragma unroll 4
  for (int row = threadIdx.x / 32; row < 2 * frames; row += blockDim.x / 32) {
    int which = row < frames ? 1 : 2, frame = row < frames ? row : row - frames;
    const half16 *a = from + frame * step + which * channels, *w = when + (frame * 3 + which) * channels + c0;
    for (int v = threadIdx.x % 32 * 8; v < wide; v += 256) {
      Eight one = load(a + v), two = load(w + v);
      float sum[8];
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[k] = rounded(up(one.v[k]) + up(two.v[k]));
      float4* to = reinterpret_cast<float4*>(kept + row * line + v);
      to[0] = make_float4(sum[0], sum[1], sum[2], sum[3]);
      to[1] = make_float4(sum[4], sum[5], sum[6], sum[7]);
    }
  }
  __syncthreads();
  int head = threadIdx.x / each, first = threadIdx.x % each * N;
  if (head >= heads) return;
  const float *keys = kept + head * size, *values = keys + frames * line;
  float score[N][frames];
#pragma unroll
  for (int n = 0; n < N; ++n)
#pragma unroll
    for (int f = 0; f < frames; ++f) score[n][f] = 0.0f;
  for (int d = 0; d < size; d += 8) {
    float x[N][8];
#pragma unroll
    for (int n = 0; n < N; ++n) {
      int frame = frames - queries + min(first + n, queries - 1);
      Eight one = load(from + frame * step + head * size + d);
      Eight two = load(when + frame * 3 * channels + c0 + head * size + d);
#pragma unroll
      for (int k = 0; k < 8; ++k) x[n][k] = rounded(up(one.v[k]) + up(two.v[k]));
    }
#pragma unroll
    for (int f = 0; f < frames; ++f)
      {
        const float4* at = reinterpret_cast<const float4*>(keys + f * line + d);
        float4 a = at[0], b = at[1];
#pragma unroll
        for (int n = 0; n < N; ++n)
          score[n][f] += x[n][0] * a.x + x[n][1] * a.y + x[n][2] * a.z + x[n][3] * a.w + x[n][4] * b.x +
                         x[n][5] * b.y + x[n][6] * b.z + x[n][7] * b.w;
      }
  }
  float share[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    float most = -1e30f, total = 0.0f;
#pragma unroll
    for (int f = 0; f < frames; ++f)
      most = fmaxf(most, score[n][f]);
#pragma unroll
    for (int f = 0; f < frames; ++f)
      total += score[n][f] = expf((score[n][f] - most) * scale);
    share[n] = 1.0f / total;
  }
  for (int d = 0; d < size; d += 8) {
    float sum[N][8];
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[n][k] = 0.0f;
#pragma unroll
    for (int f = 0; f < frames; ++f)
      {
        const float4* at = reinterpret_cast<const float4*>(values + f * line + d);
        float4 a = at[0], b = at[1];
        float v[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int k = 0; k < 8; ++k) sum[n][k] += score[n][f] * v[k];
      }
#pragma unroll
    for (int n = 0; n < N; ++n)
      if (first + n < queries) {
        Eight out;
#pragma unroll
        for (int k = 0; k < 8; ++k) out.v[k] = down(sum[n][k] * share[n]);
        store(y + (((long long)part * queries + first + n) * places + place) * channels + c0 + head * size + d, out);
      }
  }
}

#define OVER_TIME(name, N, frames)                                                                                   \
  extern "C" __global__ void name(const half16* qkv, const half16* when, half16* y, int queries, int places,         \
                                  int channels, int size, int heads, float scale) {                                  \
    attend_over_time<N, frames>(qkv, when, y, queries, places, channels, size, heads, scale);                        \
  }

// For clips of sixteen frames and two before them.
OVER_TIME(over_time, 1, 18)
OVER_TIME(over_time_in_pairs, 2, 18)

// (n, height, width, channels) -> each place four times: (n, 2 * height, 2 * width, channels)
extern "C" __global__ void double_rows(const half16* x, half16* y, int n, int height, int width, int channels) {
  int vectors = channels / 8;
  EACH((long long)n * height * width * 4 * vectors) {
    int v = (int)(i % vectors);
    long long place = i / vectors;
    int column = (int)(place % (2 * width)), row = (int)(place / (2 * width) % (2 * height));
    long long picture = place / (4LL * width * height);
    store(y + i * 8, load(x + (((picture * height + row / 2) * width + column / 2) * vectors + v) * 8));
  }
}

#define PARTS 5

// y = x + more, where given; normal = layer norm of that. A warp takes a row of at most 8 * 32 * PARTS channels.
// Not torch's bits.
extern "C" __global__ void add_norm(const half16* x, const half16* more, const half16* weight, const half16* bias,
                                    half16* y, half16* normal, long long rows, int channels, float eps) {
  long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  int lane = threadIdx.x % 32, vectors = channels / 8;
  if (row >= rows) return;
  float kept[PARTS][8], sum = 0.0f, square = 0.0f;
#pragma unroll
  for (int p = 0; p < PARTS; ++p) {
    int v = p * 32 + lane;
    if (v < vectors) {
      long long at = row * channels + v * 8;
      Eight a = load(x + at);
      if (more) {
        Eight b = load(more + at);
#pragma unroll
        for (int k = 0; k < 8; ++k) a.v[k] = down(up(a.v[k]) + up(b.v[k]));
        store(y + at, a);
      }
#pragma unroll
      for (int k = 0; k < 8; ++k) sum += kept[p][k] = up(a.v[k]);
    }
  }
  for (int o = 16; o; o /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, o);
  float mean = sum / channels;
#pragma unroll
  for (int p = 0; p < PARTS; ++p)
    if (p * 32 + lane < vectors)
#pragma unroll
      for (int k = 0; k < 8; ++k) square += (kept[p][k] - mean) * (kept[p][k] - mean);
  for (int o = 16; o; o /= 2) square += __shfl_xor_sync(0xffffffffu, square, o);
  float scale = rsqrtf(square / channels + eps);
#pragma unroll
  for (int p = 0; p < PARTS; ++p) {
    int v = p * 32 + lane;
    if (v < vectors) {
      Eight w = load(weight + v * 8), b = load(bias + v * 8), out;
#pragma unroll
      for (int k = 0; k < 8; ++k) out.v[k] = down((kept[p][k] - mean) * scale * up(w.v[k]) + up(b.v[k]));
      store(normal + row * channels + v * 8, out);
    }
  }
}
