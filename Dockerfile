# syntax=docker/dockerfile:1

# The image holds one static binary and nothing else: no shell, no libraries, no user database.
#
#   docker build -t meshdns --build-arg MESHDNS_REVISION=$(git rev-parse --short=12 HEAD) .
#   docker run --rm -p 5300:53/udp -p 5300:53/tcp -v "$PWD/zones:/zones:ro" meshdns
#
# The user is no root, and port 53 is below 1024. Docker lets every container bind it; Kubernetes does where the Pod sets
# the sysctl net.ipv4.ip_unprivileged_port_start to 0, or where the runtime does so by itself (containerd 2). Elsewhere
# listen on a higher port, which a Service maps to 53: `serve /zones --listen 0.0.0.0:5300`.

# By digest, so that the same commit builds from the same compiler and libraries for ever; the tag is for people. Another
# one: docker buildx imagetools inspect rust:1.95-slim-bookworm
FROM rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY src src
# The commit that `--version` names: no repository is copied that could tell it.
ARG MESHDNS_REVISION
# Linked statically with glibc, on which the tests run too.
# The target is named, though it is the host, so that the flags reach the binary alone and not the build's own programs.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    host=$(rustc -vV | sed -n 's/^host: //p') && \
    RUSTFLAGS="-C target-feature=+crt-static" \
        cargo build --release --locked --bin meshdns --target "$host" && \
    install -D --strip "target/$host/release/meshdns" /image/meshdns && \
    install -d /image/zones

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="meshdns" \
      org.opencontainers.image.description="An authoritative DNS server for mesh hostnames" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /image/ /
# A number, because Kubernetes can't tell of a name that it isn't root.
USER 65532:65532
EXPOSE 53/udp 53/tcp 9153/tcp
ENTRYPOINT ["/meshdns"]
CMD ["serve", "/zones", "--listen", "0.0.0.0:53", "--http", "0.0.0.0:9153"]
