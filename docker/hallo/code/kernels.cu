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
extern "C" __global__ void group_sums(const half16* x, const half16* extra, float* partial, int channels, int places,
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
extern "C" __global__ void group_apply(const half16* x, const half16* extra, const float* partial, const half16* weight,
                                       const half16* bias, half16* y, int channels, int places, int chunks, int rows,
                                       float eps, int bend) {
  __shared__ float mean[GROUPS], scale[GROUPS];
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
  int first = blockIdx.x * rows, last = min(first + rows, places);
  for (int i = threadIdx.x; i < (last - first) * vectors; i += blockDim.x) {
    int c = i % vectors * 8;
    long long at = ((long long)n * places + first + i / vectors) * channels + c;
    Eight a = load(x + at), w = load(weight + c), b = load(bias + c), out;
    for (int k = 0; k < 8; ++k) {
      int group = (c + k) / width;
      float v = up(a.v[k]);
      if (extra) v = rounded(v + up(extra[c + k]));
      v = (v - mean[group]) * scale[group] * up(w.v[k]) + up(b.v[k]);
      out.v[k] = down(bend ? silu(rounded(v)) : v);
    }
    store(y + at, out);
  }
}

// Attention of each place over time. qkv: (halves, frames, places, 3 * channels), to which `when` (frames, 3 * channels)
// is added; y: (halves, queries, places, channels), for the last `queries` frames. A block takes one place and `heads` heads, a warp each; lanes are queries, so there are
// 32 frames at most. Not torch's bits. Shared memory: 3 * frames * heads * size values of fp16.
extern "C" __global__ void over_time(const half16* qkv, const half16* when, half16* y, int frames, int queries, int places, int channels,
                                     int size, int heads, float scale) {
  extern __shared__ half16 kept[];
  int wide = heads * size, c0 = blockIdx.y * wide, place = blockIdx.x % places, part = blockIdx.x / places;
  int vectors = wide / 8;
  for (int i = threadIdx.x; i < 3 * frames * vectors; i += blockDim.x) {
    int which = i / (frames * vectors), frame = i / vectors % frames, v = i % vectors * 8;
    int column = which * channels + c0 + v;
    Eight a = load(qkv + (((long long)part * frames + frame) * places + place) * 3 * channels + column);
    Eight w = load(when + frame * 3 * channels + column);
    for (int k = 0; k < 8; ++k) a.v[k] = down(up(a.v[k]) + up(w.v[k]));
    store(kept + (which * frames + frame) * wide + v, a);
  }
  __syncthreads();
  int head = threadIdx.x / 32, lane = threadIdx.x % 32;
  int query = frames - queries + lane;
  if (lane >= queries) return;
  const half16 *q = kept + query * wide + head * size, *k = kept + frames * wide + head * size;
  const half16* v = kept + 2 * frames * wide + head * size;
  float score[32];
#pragma unroll
  for (int f = 0; f < 32; ++f) score[f] = 0.0f;
  for (int d = 0; d < size; d += 8) {
    Eight a = load(q + d);
    float x[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) x[j] = up(a.v[j]);
#pragma unroll
    for (int f = 0; f < 32; ++f)
      if (f < frames) {
        Eight b = load(k + f * wide + d);
#pragma unroll
        for (int j = 0; j < 8; ++j) score[f] += x[j] * up(b.v[j]);
      }
  }
  float most = -1e30f, total = 0.0f;
#pragma unroll
  for (int f = 0; f < 32; ++f)
    if (f < frames) most = fmaxf(most, score[f]);
#pragma unroll
  for (int f = 0; f < 32; ++f)
    if (f < frames) {
      score[f] = expf((score[f] - most) * scale);
      total += score[f];
    }
  float part_of = 1.0f / total;
  long long to = (((long long)part * queries + lane) * places + place) * channels + c0 + head * size;
  for (int d = 0; d < size; d += 8) {
    float sum[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) sum[j] = 0.0f;
#pragma unroll
    for (int f = 0; f < 32; ++f)
      if (f < frames) {
        Eight b = load(v + f * wide + d);
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[j] += score[f] * up(b.v[j]);
      }
    Eight out;
#pragma unroll
    for (int j = 0; j < 8; ++j) out.v[j] = down(sum[j] * part_of);
    store(y + to + d, out);
  }
}
