# Makes the image of iris. Written by tiffin 0.1.0, when the bundle was built.
#
#     bundle containerize                                  chooses the engine, sets labels and tag
#     docker build -f env/docker/Dockerfile -t TAG .       in the bundle's folder, without tiffin
#
# For an engine without COPY --link. Docker before 23 writes a layer's entries in either of two orders, which differ
# where a folder has a neighbour such as folder.py or folder-1.0: such neighbours, and theirs, are in layers of their own.
# Build secrets, all optional: ca (certificates of a proxy), netrc and uv.toml (private indexes). They are in no layer.

# Where dependencies are installed. Nothing of this stage is in the image but what is copied from it below.
FROM python:3.11-slim AS builder
USER 0
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
# The cache is a mount, so files are copied out of it.
#
# Bytecode is compiled below, so that a container can have a read-only root without compiling at each start. It is
# checked by content and not by time, and compiled in portions of 100 files in order, a fresh interpreter each: every
# build makes the same, whatever the number of processors and their load. xargs says 123 when a file is no Python (some
# packages carry templates): the server does not import it. A file that could not be written ends the build.
ENV UV_CACHE_DIR=/var/cache/uv \
    UV_LINK_MODE=copy \
    UV_NO_PROGRESS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PYTHON_PREFERENCE=only-system
WORKDIR /build

# Official images of Python come without bytecode of the standard library: each start would compile it anew.
# Files are dated alike, here and below: two builds give the same layers.
FROM builder AS python
RUN set -eu; \
    uv venv --python 3.11 /tmp/venv; \
    library=$(/tmp/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))'); \
    find $library -name '*.pyc' | LC_ALL=C sort > /tmp/had; \
    find $library -name '*.py' ! -path '*/test/*' ! -path '*/tests/*' ! -path '*/idlelib/*' ! -path '*/tkinter/*' \
            ! -path '*/turtledemo/*' ! -path '*/lib2to3/*' ! -path '*/ensurepip/*' ! -path '*-packages/*' \
            -print0 | LC_ALL=C sort -z > /tmp/sources; \
    PYTHONHASHSEED=0 xargs -0 -r -n 100 -P "$(nproc)" /tmp/venv/bin/python -S -m compileall -q \
        --invalidation-mode unchecked-hash < /tmp/sources > /tmp/compiled || [ $? = 123 ]; \
    cat /tmp/compiled; if grep -q '\[Errno' /tmp/compiled; then exit 1; fi; \
    mkdir /out; find $library -name '*.pyc' | LC_ALL=C sort | LC_ALL=C comm -13 /tmp/had - \
        | xargs -r -n 500 sh -c 'cp --parents "$@" /out' cp; \
    find /out -exec touch -h -d @315532800 {} +

# The dependencies, from the lock: no file is installed whose hash is not in it.
FROM builder AS dependencies
COPY layers/0/bundle/env/python/requirements.lock ./
RUN --mount=type=cache,id=tiffin-uv,target=/var/cache/uv \
    --mount=type=secret,id=ca \
    --mount=type=secret,id=netrc \
    --mount=type=secret,id=uv.toml \
    set -eu; \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca REQUESTS_CA_BUNDLE=/run/secrets/ca; fi; \
    if [ -s /run/secrets/netrc ]; then export NETRC=/run/secrets/netrc; fi; \
    if [ -s /run/secrets/uv.toml ]; then export UV_CONFIG_FILE=/run/secrets/uv.toml; fi; \
    uv venv --python 3.11 /opt/venv; \
    VIRTUAL_ENV=/opt/venv uv pip sync --require-hashes requirements.lock; \
    find /opt/venv -path '*/site-packages/*.py' ! -path '*/tests/*' \
            -print0 | LC_ALL=C sort -z > /tmp/sources; \
    PYTHONHASHSEED=0 xargs -0 -r -n 100 -P "$(nproc)" /opt/venv/bin/python -S -m compileall -q -f \
        --invalidation-mode unchecked-hash < /tmp/sources > /tmp/compiled || [ $? = 123 ]; \
    cat /tmp/compiled; if grep -q '\[Errno' /tmp/compiled; then exit 1; fi; \
    mkdir -p /out/opt; mv /opt/venv /out/opt/venv; \
    from=/out; for to in /beside/1 /beside/2 /beside/3; do mkdir -p $to; \
        find $from -mindepth 1 -type d | while read -r folder; do \
            for other in "$folder"[\ -.]*; do \
                if [ -e "$other" ]; then into="$to${other#$from}"; mkdir -p "${into%/*}"; mv "$other" "$into"; fi; \
            done; \
        done; from=$to; \
    done; \
    find /out /beside -exec touch -h -d @315532800 {} +


# tiffin 0.1.0, from the wheel in the bundle: the code that the service was checked with.
FROM builder AS runtime
COPY layers/0/bundle/env/python/wheels/tiffin-0.1.0-py3-none-any.whl ./
RUN set -eu; \
    uv venv --python 3.11 /opt/venv; \
    echo './tiffin-0.1.0-py3-none-any.whl --hash=sha256:abababababababababababababababababababababababababababababababab' > wheel.txt; \
    VIRTUAL_ENV=/opt/venv uv pip install --offline --no-deps --require-hashes -r wheel.txt; \
    find /opt/venv -path '*/site-packages/tiffin/*.py' \
            -print0 | LC_ALL=C sort -z > /tmp/sources; \
    PYTHONHASHSEED=0 xargs -0 -r -n 100 -P "$(nproc)" /opt/venv/bin/python -S -m compileall -q -f \
        --invalidation-mode unchecked-hash < /tmp/sources > /tmp/compiled || [ $? = 123 ]; \
    cat /tmp/compiled; if grep -q '\[Errno' /tmp/compiled; then exit 1; fi; \
    cd /opt/venv; site=$(echo lib/python*/site-packages); \
    rm -f $site/tiffin-*.dist-info/uv_cache.json; sed -i '/uv_cache.json/d' $site/tiffin-*.dist-info/RECORD; \
    mkdir -p /out/opt/venv/bin /out/opt/venv/$site; \
    cp -R $site/tiffin $site/tiffin-*.dist-info /out/opt/venv/$site/; \
    cp -P bin/bundle bin/bundle-serve bin/tiffin /out/opt/venv/bin/; \
    from=/out; for to in /beside/1; do mkdir -p $to; \
        find $from -mindepth 1 -type d | while read -r folder; do \
            for other in "$folder"[\ -.]*; do \
                if [ -e "$other" ]; then into="$to${other#$from}"; mkdir -p "${into%/*}"; mv "$other" "$into"; fi; \
            done; \
        done; from=$to; \
    done; \
    find /out /beside -exec touch -h -d @315532800 {} +

# The image itself, from what changes least to what changes most.
# No runner asks for a GPU.
FROM python:3.11-slim
USER 0

# All files belong to root and can be read by everybody: the server runs under any user and cannot change them.
# Python: its bytecode.
COPY --chown=0:0 --from=python /out/ /

# The dependencies.
COPY --chown=0:0 --from=dependencies /out/ /
COPY --chown=0:0 --from=dependencies /beside/1/ /
COPY --chown=0:0 --from=dependencies /beside/2/ /
COPY --chown=0:0 --from=dependencies /beside/3/ /

# tiffin.
COPY --chown=0:0 --from=runtime /out/ /
COPY --chown=0:0 --from=runtime /beside/1/ /

# Below, the folders of each layer come once more, empty and the deepest first (they have the lowest number): a folder
# that something is put into is dated by the clock, an empty one keeps its date and gives it to the filled one.

# What the dependencies came from; the server checks these files like all others.
COPY --chown=0:0 layers/0/ layers/0.empty/* /
# The layer above has this folder; said here, it is not made again with each change below.
WORKDIR /bundle/src

# Model words:2, 1.3 GB.
COPY --chown=0:0 layers/1/ layers/1.empty/* /

# Model iris:1, 2 kB.
COPY --chown=0:0 layers/2/ layers/2.empty/* /

# The code, its descriptions, this Dockerfile and the manifest with its signatures.
COPY --chown=0:0 layers/3/ layers/3.empty/* /

# Only /tmp is written to, so the root can be read-only.
ENV PATH="/opt/venv/bin:${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}" \
    HOME=/tmp \
    LOGNAME=tiffin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIFFIN_BUNDLE=/bundle \
    TIFFIN_HOME=/tmp/tiffin
USER 10001:0
# HTTP and gRPC: the first port understands both, the second is the one that gRPC is expected on.
EXPOSE 3000 3001
# The server says goodbye to its clients on SIGTERM. Asked whether it is ready, without a shell or curl.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=300s --retries=3 \
    CMD ["python", "-m", "tiffin.runtime.healthcheck"]
ENTRYPOINT ["bundle-serve"]
CMD []
# What does not change with every build; the rest is given to the engine.
LABEL org.opencontainers.image.base.name="python:3.11-slim" \
    tiffin.version="0.1.0" \
    tiffin.python="3.11" \
    tiffin.locked="true"
