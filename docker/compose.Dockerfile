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
ENV PATH=/opt/faceorch/env/bin:/opt/faceorch/bin:${PATH} PYTHONPATH=/opt/faceorch/runner \
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

COPY baseline /opt/faceorch/network
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
USER 65534:65534
