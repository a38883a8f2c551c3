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
#pragma unroll 4
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
  for (int i = threadIdx.x; i < 2 * channels; i += blockDim.x)
    for (int l = 1; l < lines; ++l) sums[i] += sums[2 * l * channels + i];
  __syncthreads();
  int width = channels / GROUPS;
  if (threadIdx.x < GROUPS * 2) {
    int group = threadIdx.x / 2, which = threadIdx.x % 2;
    float total = 0.0f;
    for (int c = group * width; c < (group + 1) * width; ++c) total += sums[c * 2 + which];
    partial[(((long long)n * gridDim.x + blockIdx.x) * GROUPS + group) * 2 + which] = total;
  }
}

// Group norm of rows by those sums, then silu if `bend`, `chunk` places a block. Threads: channels / 8 times `lines`, at
// least 64.
extern "C" __global__ void group_apply(const half16* __restrict__ x, const half16* extra, const float* partial,
                                       const half16* weight, const half16* bias, half16* __restrict__ y, int channels,
                                       int places, int chunks, int chunk, int lines, float eps, int bend) {
  __shared__ float sums[8][GROUPS * 2], mean[GROUPS], scale[GROUPS];
  int vectors = channels / 8, width = channels / GROUPS, n = blockIdx.y, parts = blockDim.x / (GROUPS * 2);
  if (threadIdx.x < parts * GROUPS * 2) {
    float some = 0.0f;
    for (int c = threadIdx.x / (GROUPS * 2); c < chunks; c += parts)
      some += partial[((long long)n * chunks + c) * GROUPS * 2 + threadIdx.x % (GROUPS * 2)];
    sums[threadIdx.x / (GROUPS * 2)][threadIdx.x % (GROUPS * 2)] = some;
  }
  __syncthreads();
  if (threadIdx.x < GROUPS) {
    float sum = 0.0f, square = 0.0f;
    for (int part = 0; part < parts; ++part) {
      sum += sums[part][2 * threadIdx.x];
      square += sums[part][2 * threadIdx.x + 1];
    }
    float count = (float)width * places, m = sum / count;
    mean[threadIdx.x] = m;
    scale[threadIdx.x] = rsqrtf(fmaxf(square / count - m * m, 0.0f) + eps);
  }
  __syncthreads();
  int c = threadIdx.x % vectors * 8, last = min((int)(blockIdx.x + 1) * chunk, places);
  float factor[8], offset[8];
  Eight e = load(bias + c), w = load(weight + c);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    factor[k] = scale[(c + k) / width] * up(w.v[k]);
    offset[k] = up(e.v[k]) - mean[(c + k) / width] * factor[k];
  }
  if (extra) e = load(extra + c);
#pragma unroll 4
  for (int place = blockIdx.x * chunk + threadIdx.x / vectors; place < last; place += lines) {
    long long at = ((long long)n * places + place) * channels + c;
    Eight a = load(x + at), out;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      float v = up(a.v[k]);
      if (extra) v = rounded(v + up(e.v[k]));
      v = v * factor[k] + offset[k];
      out.v[k] = down(bend ? __fdividef(v, 1.0f + __expf(-v)) : v);
    }
    store(y + at, out);
  }
}

// Of attention over time: a clip's sixteen frames and two before it; channels of a block, and those with what keeps rows
// in different banks; vectors of qkv that a thread copies.
#define FRAMES 18
#define WIDE 320
#define LINE (WIDE + 8)
#define SLOTS 9

__device__ unsigned in_shared(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

__device__ unsigned plus(unsigned a, unsigned b) {  // of two values each
  unsigned sum;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
  return sum;
}

__device__ unsigned two(float low, float high) { return down(low) | (unsigned)down(high) << 16; }

#if __CUDA_ARCH__ >= 800
#define MMA16(c, a0, a1, a2, a3, b0, b1)                                                                    \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "  \
               "{%0,%1,%2,%3};"                                                                             \
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                             \
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1))
#define MMA8(c, a0, a1, b0)                                                                                      \
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"  \
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                  \
               : "r"(a0), "r"(a1), "r"(b0))
#define LOAD4(r, at)                                                                           \
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"                 \
               : "=r"((r)[0]), "=r"((r)[1]), "=r"((r)[2]), "=r"((r)[3]) : "r"(in_shared(at)))
#define LOAD2(r, at, how)                                                        \
  asm volatile("ldmatrix.sync.aligned.m8n8.x2" how ".shared.b16 {%0,%1}, [%2];"  \
               : "=r"((r)[0]), "=r"((r)[1]) : "r"(in_shared(at)))
#define LOAD1(r, at, how) \
  asm volatile("ldmatrix.sync.aligned.m8n8.x1" how ".shared.b16 {%0}, [%1];" : "=r"((r)[0]) : "r"(in_shared(at)))
#endif

// Attention of each place over time. qkv: (halves, frames, places, 3 * channels), to which `when` (frames, 3 * channels)
// is added; y: (halves, queries, places, channels), for the last `queries` frames. A block of 256 threads takes 320
// channels of one place after the other; a warp all scores of a head, and all or part of what they sum. Not torch's bits.
// Shared memory: (3 * FRAMES + queries) * LINE fp16 values.
extern "C" __global__ void __launch_bounds__(256, 2)
over_time(const half16* __restrict__ qkv, const half16* __restrict__ when, half16* __restrict__ y, int queries,
          int places, int channels, int size, int total, float scale) {
#if __CUDA_ARCH__ >= 800
  extern __shared__ __align__(16) half16 rows[];
  const int heads = WIDE / size, vectors = WIDE / 8;
  half16* found = rows + 3 * FRAMES * LINE;
  int c0 = blockIdx.y * WIDE, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int skip = FRAMES - queries, parts = heads < 8 ? 8 / heads : 1, tiles = size / 8;
  int step = places * 3 * channels;
  uint4 taken[SLOTS];
  auto take = [&](int item) {
    int place = item % places, part = item / places;
    const half16* from = qkv + ((long long)part * FRAMES * places + place) * 3 * channels + c0;
#pragma unroll
    for (int s = 0; s < SLOTS; ++s) {
      int i = threadIdx.x + s * 256, row = i / vectors, v = i % vectors * 8;
      if (row < 3 * FRAMES)
        taken[s] = *reinterpret_cast<const uint4*>(from + row % FRAMES * step + row / FRAMES * channels + v);
    }
  };
  take(blockIdx.x);
  for (int item = blockIdx.x; item < total; item += gridDim.x) {
    int place = item % places, part = item / places;
#pragma unroll
    for (int s = 0; s < SLOTS; ++s) {
      int i = threadIdx.x + s * 256, row = i / vectors, v = i % vectors * 8;
      if (row < 3 * FRAMES) {
        const half16* at = when + (row % FRAMES * 3 + row / FRAMES) * channels + c0 + v;
        uint4 added = *reinterpret_cast<const uint4*>(at);
        *reinterpret_cast<uint4*>(rows + row * LINE + v) =
            make_uint4(plus(taken[s].x, added.x), plus(taken[s].y, added.y), plus(taken[s].z, added.z),
                       plus(taken[s].w, added.w));
      }
    }
    if (item + gridDim.x < total) take(item + gridDim.x);  // on its way while this one is computed
    __syncthreads();
    for (int task = warp; task < heads * parts; task += 8) {
      const half16 *q = rows + task / parts * size, *k = q + FRAMES * LINE, *v = k + FRAMES * LINE;
      int first = task % parts * tiles / parts, last = (task % parts + 1) * tiles / parts;
      for (int m = 0; m < queries; m += 16) {
        // Rows beyond the last frame are the last frame again: their queries are not kept, their keys count for nothing.
        const half16* query = q + min(skip + m + lane % 16, FRAMES - 1) * LINE + lane / 16 * 8;
        const half16 *key[3], *value = v + lane % 16 * LINE;
        float score[3][4];
#pragma unroll
        for (int t = 0; t < 3; ++t) {
          key[t] = k + min(t * 8 + lane % 8, FRAMES - 1) * LINE + lane / 8 % 2 * 8;
#pragma unroll
          for (int e = 0; e < 4; ++e) score[t][e] = 0.0f;
        }
        int d = 0;
        unsigned a[4], b[2];
        for (; d + 16 <= size; d += 16) {
          LOAD4(a, query + d);
#pragma unroll
          for (int t = 0; t < 3; ++t) {
            LOAD2(b, key[t] + d, "");
            MMA16(score[t], a[0], a[1], a[2], a[3], b[0], b[1]);
          }
        }
        if (d < size) {
          LOAD2(a, q + min(skip + m + lane % 16, FRAMES - 1) * LINE + d, "");
#pragma unroll
          for (int t = 0; t < 3; ++t) {
            LOAD1(b, k + min(t * 8 + lane % 8, FRAMES - 1) * LINE + d, "");
            MMA8(score[t], a[0], a[1], b[0]);
          }
        }
        if (lane % 4) score[2][0] = score[2][1] = score[2][2] = score[2][3] = -1e30f;
        float share[2];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          float most = -1e30f, sum = 0.0f;
#pragma unroll
          for (int t = 0; t < 3; ++t) most = fmaxf(most, fmaxf(score[t][2 * h], score[t][2 * h + 1]));
          for (int o = 1; o < 4; o *= 2) most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, o));
#pragma unroll
          for (int t = 0; t < 3; ++t)
#pragma unroll
            for (int e = 2 * h; e < 2 * h + 2; ++e) sum += score[t][e] = exp2f((score[t][e] - most) * scale);
          for (int o = 1; o < 4; o *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, o);
          share[h] = 1.0f / sum;
        }
        unsigned p[6];
#pragma unroll
        for (int t = 0; t < 3; ++t)
#pragma unroll
          for (int h = 0; h < 2; ++h) p[t * 2 + h] = two(score[t][2 * h], score[t][2 * h + 1]);
        for (int tile = first; tile < last; ++tile) {
          float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
          LOAD2(b, value + tile * 8, ".trans");
          MMA16(sum, p[0], p[1], p[2], p[3], b[0], b[1]);
          LOAD1(b, v + min(16 + lane % 8, FRAMES - 1) * LINE + tile * 8, ".trans");
          MMA8(sum, p[4], p[5], b[0]);
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            int row = m + lane / 4 + 8 * h;
            if (row < queries)
              *reinterpret_cast<unsigned*>(found + row * LINE + task / parts * size + tile * 8 + lane % 4 * 2) =
                  two(sum[2 * h] * share[h], sum[2 * h + 1] * share[h]);
          }
        }
      }
    }
    __syncthreads();
    half16* to = y + ((long long)part * queries * places + place) * channels + c0;
    for (int i = threadIdx.x; i < queries * vectors; i += 256)
      store(to + (long long)(i / vectors) * places * channels + i % vectors * 8,
            load(found + i / vectors * LINE + i % vectors * 8));
  }
#endif
}

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

// Keys and values (pictures, own + other, wide): pictures' own, of qkv (pictures, own, 3 * wide / 2), and a portrait's
// (2, other, wide), of whose halves the pictures take one or the other in turn.
extern "C" __global__ void beside(const half16* qkv, const half16* portrait, half16* y, int pictures, int own, int other,
                                  int wide) {
  int vectors = wide / 8;
  EACH((long long)pictures * (own + other) * vectors) {
    int v = (int)(i % vectors) * 8, row = (int)(i / vectors % (own + other));
    int picture = (int)(i / vectors / (own + other));
    const half16* from = row < own ? qkv + ((long long)picture * own + row) * (wide + wide / 2) + wide / 2
                                   : portrait + ((long long)((pictures + picture) % 2) * other + row - own) * wide;
    store(y + i * 8, load(from + v));
  }
}

#define PARTS 5

// y = x + more + extra, where given; normal = layer norm of that. Then `after`, one value for each of `places` rows and
// each channel, which repeats, is added to y. Of x, `skip` rows are left out before every `each`. `lanes` of a warp take
// a row of 8 * PARTS * lanes channels. Not torch's bits.
extern "C" __global__ void __launch_bounds__(256, 4)
add_norm(const half16* __restrict__ x, const half16* __restrict__ more, const half16* __restrict__ extra,
         const half16* __restrict__ after, const half16* __restrict__ weight, const half16* __restrict__ bias,
         half16* __restrict__ y, half16* __restrict__ normal, int rows, int lanes, int places, int each, int skip,
         float eps) {
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / lanes, first = threadIdx.x % lanes * 8;
  int channels = 8 * PARTS * lanes;
  bool mine = row < rows;
  if (!mine) row = rows - 1;
  const half16* from = x + (long long)(row + (skip ? (row / each + 1) * skip : 0)) * channels;
  long long at = (long long)row * channels;
  float kept[PARTS][8], sum = 0.0f, square = 0.0f;
#pragma unroll
  for (int p = 0; p < PARTS; ++p) {
    Eight a = load(from + first + p * 8 * lanes);
#pragma unroll
    for (int k = 0; k < 8; ++k) kept[p][k] = up(a.v[k]);
  }
  if (more)
#pragma unroll
    for (int p = 0; p < PARTS; ++p) {
      int c = first + p * 8 * lanes;
      Eight a = load(more + at + c);
#pragma unroll
      for (int k = 0; k < 8; ++k) kept[p][k] += up(a.v[k]);
      if (extra) {
        a = load(extra + c);
#pragma unroll
        for (int k = 0; k < 8; ++k) kept[p][k] += up(a.v[k]);
      }
      Eight out;
#pragma unroll
      for (int k = 0; k < 8; ++k) out.v[k] = down(kept[p][k]);
      if (after) {
        a = load(after + (long long)(row % places) * channels + c);
#pragma unroll
        for (int k = 0; k < 8; ++k) out.v[k] = down(kept[p][k] + up(a.v[k]));
      }
      if (mine) store(y + at + c, out);
    }
#pragma unroll
  for (int p = 0; p < PARTS; ++p)
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += kept[p][k];
  for (int o = lanes / 2; o; o /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, o);
  float mean = sum / channels;
#pragma unroll
  for (int p = 0; p < PARTS; ++p)
#pragma unroll
    for (int k = 0; k < 8; ++k) square += (kept[p][k] - mean) * (kept[p][k] - mean);
  for (int o = lanes / 2; o; o /= 2) square += __shfl_xor_sync(0xffffffffu, square, o);
  float scale = rsqrtf(square / channels + eps);
#pragma unroll
  for (int p = 0; p < PARTS; ++p) {
    int c = first + p * 8 * lanes;
    Eight w = load(weight + c), b = load(bias + c), out;
#pragma unroll
    for (int k = 0; k < 8; ++k) out.v[k] = down((kept[p][k] - mean) * scale * up(w.v[k]) + up(b.v[k]));
    if (mine) store(normal + at + c, out);
  }
}

// A matrix product by Hopper's own instructions (sm_90a), with what comes next in the same pass.

struct __align__(64) Map {
  unsigned long long v[16];
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define OUT4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define OUT16(d, i) OUT4(d, i), OUT4(d, i + 4), OUT4(d, i + 8), OUT4(d, i + 12)
#define OUT128(d) \
  OUT16(d, 0), OUT16(d, 16), OUT16(d, 32), OUT16(d, 48), OUT16(d, 64), OUT16(d, 80), OUT16(d, 96), OUT16(d, 112)
#define WGMMA256(d, a, b, more)                                                                                        \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"                                                           \
               "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"                                                 \
               "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,"                        \
               "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,"              \
               "%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,%64,%65,"              \
               "%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,"              \
               "%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,"    \
               "%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"             \
               "}, %128, %129, p, 1, 1, 0, 0;\n}\n"                                                                    \
               : OUT128(d)                                                                                             \
               : "l"(a), "l"(b), "r"(more))

// What wgmma takes for 64 values a row in shared memory, swizzled by 128 bytes.
__device__ unsigned long long matrix(unsigned at) {
  return (unsigned long long)((at & 0x3ffff) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

__device__ void wait(unsigned barrier, int parity) {
  asm volatile(
      "{\n.reg .pred p;\nAGAIN:\nmbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@p bra DONE;\nbra AGAIN;\nDONE:\n}\n"
      ::"r"(barrier), "r"(parity) : "memory");
}

__device__ void arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ void fetch(unsigned to, const Map* map, int column, int row, unsigned barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
      ::"r"(to), "l"(map), "r"(barrier), "r"(column), "r"(row) : "memory");
}

// Within 1.2e-5, and where it is more than 0.01 within a quarter of fp16's last bit: x / (1 + 2 ** -x p(x * x)).
__device__ float gelu(float x) {
  float t = fminf(x * x, 36.0f), p = -7.31944496e-08f, power;
  p = p * t + 4.43581621e-06f;
  p = p * t - 8.50800789e-05f;
  p = p * t - 4.7211512e-04f;
  p = p * t + 0.105646648f;
  p = p * t + 2.3017149f;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(-x * p));
  return __fdividef(x, 1.0f + power);
}

// Of four lanes that hold two columns of four tiles each, give each lane one tile's eight columns.
__device__ void turn(unsigned (&p)[4], int lane) {
  unsigned a = lane & 1 ? p[0] : p[1], b = lane & 1 ? p[2] : p[3];
  a = __shfl_xor_sync(0xffffffffu, a, 1), b = __shfl_xor_sync(0xffffffffu, b, 1);
  if (lane & 1) p[0] = a, p[2] = b; else p[1] = a, p[3] = b;
  a = lane & 2 ? p[0] : p[2], b = lane & 2 ? p[1] : p[3];
  a = __shfl_xor_sync(0xffffffffu, a, 2), b = __shfl_xor_sync(0xffffffffu, b, 2);
  if (lane & 2) p[0] = a, p[1] = b; else p[2] = a, p[3] = b;
}
#endif

#define STAGES 4

// y (rows, columns) = (left times the first half of right + bias) * gelu(left times the second half + bias).
// left: (rows, deep), right: (2 * columns, deep); columns a multiple of 128, deep of 64. Not torch's bits.
// A block of 384 threads takes 128 rows and columns at a time: one thread fetches 64 values of these rows, and of those
// of both halves of right; two groups of four warps multiply 64 rows each.
// Shared memory: STAGES * 3 * 128 * 128 + 1024 bytes.
extern "C" __global__ void __launch_bounds__(384, 1)
gated_product(const __grid_constant__ Map left, const __grid_constant__ Map right, const half16* __restrict__ bias,
              half16* __restrict__ y, int rows, int columns, int deep) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ unsigned char raw[];
  __shared__ __align__(8) unsigned long long barriers[2 * STAGES];
  const unsigned SIDE = 128 * 128;  // bytes of 128 rows of 64 values
  unsigned base = (in_shared(raw) + 1023) & ~1023u, full = in_shared(barriers), empty = full + 8 * STAGES;
  int across = columns / 128, tiles = (rows + 127) / 128 * across, steps = deep / 64;
  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; ++s) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(full + 8 * s) : "memory");
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 8;" ::"r"(empty + 8 * s) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async;" ::: "memory");
  }
  __syncthreads();
  int group = threadIdx.x / 128, lane = threadIdx.x % 32, stage = 0, parity = 0;
  if (group == 0) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 0)
      for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int m = tile / across * 128, n = tile % across * 128;
        for (int step = 0; step < steps; ++step) {
          wait(empty + 8 * stage, parity ^ 1);
          unsigned barrier = full + 8 * stage, to = base + stage * 3 * SIDE;
          asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(3 * SIDE)
                       : "memory");
          fetch(to, &left, step * 64, m, barrier);
          fetch(to + SIDE, &right, step * 64, n, barrier);
          fetch(to + 2 * SIDE, &right, step * 64, n + columns, barrier);
          if (++stage == STAGES) stage = 0, parity ^= 1;
        }
      }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    int warp = threadIdx.x / 32 % 4, last = 0;
    float sum[128];  // values, then gates
#pragma unroll
    for (int i = 0; i < 128; ++i) sum[i] = 0.0f;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      int row = tile / across * 128 + (group - 1) * 64 + warp * 16 + lane / 4, n = tile % across * 128;
      for (int step = 0; step < steps; ++step) {
        wait(full + 8 * stage, parity);
        unsigned from = base + stage * 3 * SIDE;
        unsigned long long a = matrix(from + (group - 1) * 64 * 128), b = matrix(from + SIDE);
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int k = 0; k < 4; ++k) WGMMA256(sum, a + 2 * k, b + 2 * k, step + k);  // 32 bytes, which count in sixteens
        asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 1;" ::: "memory");
        if (step && lane == 0) arrive(empty + 8 * last);
        last = stage;
        if (++stage == STAGES) stage = 0, parity ^= 1;
      }
      asm volatile("wgmma.wait_group.sync.aligned 0;" : OUT128(sum)::"memory");  // only now are these read
      if (lane == 0) arrive(empty + 8 * last);
#pragma unroll
      for (int four = 0; four < 4; ++four) {
        int column = n + four * 32;
        unsigned added[2][4];
#pragma unroll
        for (int t = 0; t < 4; ++t) {
          added[0][t] = *reinterpret_cast<const unsigned*>(bias + column + t * 8 + lane % 4 * 2);
          added[1][t] = *reinterpret_cast<const unsigned*>(bias + columns + column + t * 8 + lane % 4 * 2);
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          unsigned out[4];
#pragma unroll
          for (int t = 0; t < 4; ++t) {
            float both[2];
#pragma unroll
            for (int e = 0; e < 2; ++e) {
              int i = (four * 4 + t) * 4 + h * 2 + e;
              both[e] = sum[i] + up((half16)(added[0][t] >> 16 * e));
              both[e] *= gelu(sum[64 + i] + up((half16)(added[1][t] >> 16 * e)));
            }
            out[t] = two(both[0], both[1]);
          }
          turn(out, lane);
          if (row + 8 * h < rows)
            *reinterpret_cast<uint4*>(y + (long long)(row + 8 * h) * columns + column + lane % 4 * 8) =
                make_uint4(out[0], out[1], out[2], out[3]);
        }
      }
    }
  }
#endif
}
