# Three images: node (what a run consists of), tools (report, plots, compiled scheduling), learn (training).
#   docker build --target node -t edgerig-node .
# Behind a proxy or an index of one's own: --build-arg PIP_INDEX_URL=... (and PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# -- what needs pip: nothing of it but /opt/edgerig gets into an image -------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
# Without a value they are not set, and pip takes its own index.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
# Exact versions, such as "numpy==2.4.6 msgspec==0.22.0", where numbers must be those of another installation.
ARG PINS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
# Of the project only what it depends on: a layer that is made anew when that changes, not with every line of code.
COPY pyproject.toml LICENSE ./
# Tests of other packages, tools that convert models, and a library for other languages (34 MB) are never used here.
RUN printf '%s\n' '#!/bin/sh -e' \
        'pip --python /opt/edgerig/bin/python install --constraint /tmp/pins "$@"' \
        'cd /opt/edgerig/lib/python3*/site-packages' \
        'find . -type d -name tests -prune -exec rm -rf {} +' \
        'rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools onnxruntime/capi/libonnxruntime.so*' >/usr/local/bin/install-small \
    && chmod +x /usr/local/bin/install-small \
    && touch README.md \
    && printf '%s\n' ${PINS} >/tmp/pins \
    && python -m venv --without-pip /opt/edgerig
RUN --mount=type=cache,target=/root/.cache/pip install-small .

FROM build AS build-node
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip install-small --no-deps --force-reinstall .

# -- node --------------------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS bare
LABEL org.opencontainers.image.title="edgerig" \
      org.opencontainers.image.description="A ROS-like message-bus testbed for mobile-edge control stacks" \
      org.opencontainers.image.licenses="Apache-2.0"
# Many processes share the cores, and sums must not depend on how many threads there are.
ENV PATH=/opt/edgerig/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# The folders that volumes are mounted on: a fresh volume takes over owner and rights.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /edgerig --shell /usr/sbin/nologin edgerig \
    && install -d -o edgerig -g edgerig -m 755 /edgerig /edgerig/runs \
    && install -d -o edgerig -g edgerig -m 700 /keys
WORKDIR /edgerig
USER 10001:10001
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --start-interval=15s --retries=3 \
    CMD ["edgerig", "doctor", "--health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["edgerig"]
# An agent is what others bring images of: this one must need no command. The rest of a run names its kind.
CMD ["node", "start", "agent"]

FROM bare AS node
COPY --from=build-node /opt/edgerig /opt/edgerig

# -- tools: report, plots, compiled scheduling -------------------------------------------------------------------------
FROM build AS build-tools
# "report" leaves compiled scheduling out, which takes seconds to compile at every start.
ARG EXTRAS=fast,report
RUN --mount=type=cache,target=/root/.cache/pip install-small ".[${EXTRAS}]"
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip install-small --no-deps --force-reinstall .

FROM bare AS tools
# Compiled code is kept where it can be written; a volume or a tmpfs there saves seconds at every start.
ENV NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib
COPY --from=build-tools /opt/edgerig /opt/edgerig
HEALTHCHECK NONE
CMD ["--help"]

# -- learn: training ---------------------------------------------------------------------------------------------------
FROM build AS build-learn
# Where torch without CUDA comes from.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN --mount=type=cache,target=/root/.cache/pip \
    PIP_EXTRA_INDEX_URL="${TORCH_INDEX_URL} ${PIP_EXTRA_INDEX_URL}" install-small ".[learn,reference]"
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip install-small --no-deps --force-reinstall .

FROM bare AS learn
ENV MPLCONFIGDIR=/tmp/matplotlib
COPY --from=build-learn /opt/edgerig /opt/edgerig
HEALTHCHECK NONE
CMD ["train", "--help"]
