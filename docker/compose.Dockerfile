# Generated from docker/*/ by `make docs`; change those, not this.

# What the networks' images share: a userland with Python, the tools that fill an image, and the packages of one base
# (requirements.<base>.lock), so that every GPU network stands on the same torch.
# BASE_IMAGE may be any Debian or Ubuntu userland whose Python is 3.10 or 3.11: a mirror of ours, or a Debian 12.
ARG BASE_IMAGE=nvidia/cuda@sha256:457a4076c56025f51217bff647ca631c7880ad3dbf546b03728ba98297ebbc22
FROM ${BASE_IMAGE} AS base

COPY base/bin /opt/faceorch/bin
# The certificate authorities of --ca-bundle are there when they were given.
COPY base/tools.lock base/ca-bundle.pe[m] /opt/faceorch/tools/
ARG APT_MIRROR
RUN /opt/faceorch/bin/install-userland
ARG UV_DEFAULT_INDEX
RUN /opt/faceorch/bin/install-tools /opt/faceorch/tools/tools.lock

ARG BASE
COPY base/requirements.${BASE}.lock /opt/faceorch/requirements.lock
RUN /opt/faceorch/bin/install-packages /opt/faceorch/requirements.lock

# Containers run on a read-only root with a tmpfs at /tmp, and without a network.
ENV PATH=/opt/faceorch/env/bin:/opt/faceorch/bin:${PATH} PYTHONPATH=/opt/faceorch/runner:/opt/faceorch/kit \
    PYTHONHASHSEED=0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/cache/matplotlib NUMBA_CACHE_DIR=/tmp/cache/numba \
    TORCH_HOME=/tmp/cache/torch CUDA_CACHE_PATH=/tmp/cache/cuda TRITON_CACHE_DIR=/tmp/cache/triton \
    HF_HOME=/tmp/cache/huggingface HF_HUB_OFFLINE=1
ENTRYPOINT ["/opt/faceorch/env/bin/python", "-m", "faceorch_runner"]
CMD ["/job/job.json"]

# The baseline's image, on the base that `faceorch build` makes from docker/base.
FROM base AS baseline

# Locks before code: a changed runner does not install the packages again.
ARG BASE
ARG UV_DEFAULT_INDEX
COPY baseline/requirements.${BASE}.lock /opt/faceorch/requirements.lock
RUN install-packages /opt/faceorch/requirements.lock

COPY baseline/code /opt/faceorch/network
COPY kit/faceorch_kit/__init__.py kit/faceorch_kit/faces.py kit/faceorch_kit/portrait.py kit/faceorch_kit/voice.py /opt/faceorch/kit/faceorch_kit/
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
RUN compile-python
USER 65534:65534

# EchoMimic's image, on the base that `faceorch build` makes from docker/base.
FROM base AS echomimic

# Locks before code: a changed runner does not install the packages again.
ARG BASE
ARG UV_DEFAULT_INDEX
COPY echomimic/requirements.${BASE}.lock /opt/faceorch/requirements.lock
RUN install-packages /opt/faceorch/requirements.lock

# What accelerated inference does not use is left out: training, pose, its pipelines and video tools.
ARG UPSTREAM
ARG UPSTREAM_MIRROR
RUN clone-upstream "${UPSTREAM}" /opt/upstream/echomimic src configs LICENSE

COPY patch/faceorch_patch /opt/faceorch/patch/faceorch_patch
COPY echomimic/patches.py /opt/faceorch/patches.py
RUN PYTHONPATH=/opt/faceorch/patch python -m faceorch_patch /opt/faceorch/patches.py /opt/upstream

COPY echomimic/code /opt/faceorch/network
COPY kit/faceorch_kit/__init__.py kit/faceorch_kit/finite.py kit/faceorch_kit/graphed.py kit/faceorch_kit/latent.py kit/faceorch_kit/portrait.py kit/faceorch_kit/stream.py kit/faceorch_kit/voice.py kit/faceorch_kit/weights.py /opt/faceorch/kit/faceorch_kit/
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
RUN compile-python /opt/upstream
ENV PYTHONPATH=${PYTHONPATH}:/opt/upstream/echomimic
USER 65534:65534

# Hallo's image, on the base that `faceorch build` makes from docker/base.
FROM base AS hallo

# Locks before code: a changed runner does not install the packages again.
ARG BASE
ARG UV_DEFAULT_INDEX
COPY hallo/requirements.${BASE}.lock /opt/faceorch/requirements.lock
RUN install-packages /opt/faceorch/requirements.lock

# Examples and assets are a hundred times as large as the code.
ARG UPSTREAM
ARG UPSTREAM_MIRROR
RUN clone-upstream "${UPSTREAM}" /opt/upstream/hallo hallo configs LICENSE

COPY patch/faceorch_patch /opt/faceorch/patch/faceorch_patch
COPY hallo/patches.py /opt/faceorch/patches.py
RUN PYTHONPATH=/opt/faceorch/patch python -m faceorch_patch /opt/faceorch/patches.py /opt/upstream

# librosa compiles parts of itself on first use, for ten seconds and more: here instead of in every container, and for
# any CPU, since numba takes what was compiled for this machine's only on another one of its kind.
ENV NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=""
COPY hallo/code/warm.py /opt/faceorch/warm.py
RUN NUMBA_CACHE_DIR=/opt/faceorch/numba python /opt/faceorch/warm.py

COPY hallo/code /opt/faceorch/network
COPY kit/faceorch_kit/__init__.py kit/faceorch_kit/faces.py kit/faceorch_kit/finite.py kit/faceorch_kit/latent.py kit/faceorch_kit/nvrtc.py kit/faceorch_kit/portrait.py kit/faceorch_kit/weights.py /opt/faceorch/kit/faceorch_kit/
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
RUN compile-python /opt/upstream
ENV PYTHONPATH=${PYTHONPATH}:/opt/upstream/hallo TRANSFORMERS_OFFLINE=1 HALLO_COMPILED=/opt/faceorch/numba
USER 65534:65534

# LivePortrait + JoyVASA's image, on the base that `faceorch build` makes from docker/base. JoyVASA's repository holds
# the whole of LivePortrait, file by file the same; the original is not needed beside it.
FROM base AS liveportrait

# Locks before code: a changed runner does not install the packages again.
ARG BASE
ARG UV_DEFAULT_INDEX
COPY liveportrait/requirements.${BASE}.lock /opt/faceorch/requirements.lock
RUN install-packages /opt/faceorch/requirements.lock

# What inference on people does not use is left out, X-Pose with its own licence among it.
ARG UPSTREAM
ARG UPSTREAM_MIRROR
RUN clone-upstream "${UPSTREAM}" /opt/upstream/JoyVASA \
    && cd /opt/upstream/JoyVASA \
    && find . -mindepth 1 -maxdepth 1 ! -name src ! -name LICENSE -exec rm -rf {} + \
    && rm -rf src/dataset src/prepare_data src/utils/dependencies/XPose src/utils/dependencies/insightface/data/images \
    && find src -name '*animal*' -delete

COPY patch/faceorch_patch /opt/faceorch/patch/faceorch_patch
COPY liveportrait/patches.py /opt/faceorch/patches.py
RUN PYTHONPATH=/opt/faceorch/patch python -m faceorch_patch /opt/faceorch/patches.py /opt/upstream

COPY liveportrait/code /opt/faceorch/network
COPY kit/faceorch_kit/__init__.py kit/faceorch_kit/blinks.py kit/faceorch_kit/faces.py kit/faceorch_kit/finite.py kit/faceorch_kit/graphed.py kit/faceorch_kit/libraries.py kit/faceorch_kit/light.py kit/faceorch_kit/nvrtc.py kit/faceorch_kit/portrait.py kit/faceorch_kit/stream.py kit/faceorch_kit/voice.py kit/faceorch_kit/weights.py /opt/faceorch/kit/faceorch_kit/
COPY kit/faceorch_kit/half /opt/faceorch/kit/faceorch_kit/half
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
RUN compile-python /opt/upstream
ENV PYTHONPATH=${PYTHONPATH}:/opt/upstream/JoyVASA
USER 65534:65534

# SadTalker's image, on the base that `faceorch build` makes from docker/base.
FROM base AS sadtalker

# Locks before code: a changed runner does not install the packages again.
ARG BASE
ARG UV_DEFAULT_INDEX
COPY sadtalker/requirements.${BASE}.lock /opt/faceorch/requirements.lock
RUN install-packages /opt/faceorch/requirements.lock

# Its examples and documentation are ten times as large as its code.
ARG UPSTREAM
ARG UPSTREAM_MIRROR
RUN clone-upstream "${UPSTREAM}" /opt/faceorch/upstream/SadTalker src LICENSE

COPY patch/faceorch_patch /opt/faceorch/patch/faceorch_patch
COPY sadtalker/patches.py /opt/faceorch/patches.py
RUN PYTHONPATH=/opt/faceorch/patch python -m faceorch_patch /opt/faceorch/patches.py /opt/faceorch/upstream

COPY sadtalker/code /opt/faceorch/network
COPY kit/faceorch_kit/__init__.py kit/faceorch_kit/finite.py kit/faceorch_kit/graphed.py kit/faceorch_kit/libraries.py kit/faceorch_kit/light.py kit/faceorch_kit/nvrtc.py kit/faceorch_kit/portrait.py kit/faceorch_kit/stream.py kit/faceorch_kit/voice.py kit/faceorch_kit/weights.py /opt/faceorch/kit/faceorch_kit/
COPY kit/faceorch_kit/half /opt/faceorch/kit/faceorch_kit/half
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
RUN compile-python /opt/faceorch/upstream
# Upstream's package is called `src`: its folder's parent is on the path.
ENV PYTHONPATH=${PYTHONPATH}:/opt/faceorch/upstream/SadTalker
USER 65534:65534
