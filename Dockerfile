# nexus-dirsync in an image of its own: one binary, the libraries it is linked to, and
# certificate authorities. No shell, no package manager, nobody but user 65532.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t nexus-dirsync:0.1.0 .
#
# tests/image.sh builds it, runs it and looks at what it promises. Give the base by digest
# where builds must be repeatable: --build-arg BUILD_BASE=docker.io/library/rust@sha256:…

ARG BUILD_BASE=docker.io/library/rust:1-bookworm

FROM ${BUILD_BASE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
WORKDIR /src

# Dependencies alone: this layer stays until the manifests change. The workspace names the
# simulator, so its manifest must be there; its source never is.
COPY Cargo.toml Cargo.lock ./
COPY tests/simulator/Cargo.toml tests/simulator/
RUN mkdir -p src tests/simulator/src \
 && touch src/lib.rs tests/simulator/src/lib.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo build --release --locked --no-default-features \
 && rm -r src

# The source. Its times may be older than those of the stubs that were just built.
COPY config/default.toml config/
COPY migrations migrations
COPY src src
ARG REVISION=unknown
RUN find src -name '*.rs' -exec touch {} + \
 && DIRSYNC_REVISION="${REVISION}" cargo build --release --locked --no-default-features

# What the last stage takes, under the paths that it has there.
ARG VERSION
RUN set -eu \
 && binary=target/release/nexus-dirsync \
 && said=$("${binary}" --version) \
 && version=${said#nexus-dirsync } && version=${version%% *} \
 && if [ "${VERSION:-${version}}" != "${version}" ]; then \
      echo "VERSION is ${VERSION}, but this source is ${version}" >&2; exit 1; fi \
 && install -D -m 0755 "${binary}" /image/usr/local/bin/nexus-dirsync \
 && ldd "${binary}" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do \
      install -D -m 0755 "$(realpath "${library}")" "/image${library}"; done \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
 && echo 'nexus-dirsync:x:65532:65532::/var/lib/nexus-dirsync:/sbin/nologin' > /image/etc/passwd \
 && echo 'nexus-dirsync:x:65532:' > /image/etc/group \
 && echo 'hosts: files dns' > /image/etc/nsswitch.conf \
 && install -d -m 1777 /image/tmp \
 && install -d -m 0750 -o 65532 -g 65532 /image/var/lib/nexus-dirsync


FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="nexus-dirsync" \
      org.opencontainers.image.description="Keeps the Nexus Platform's users, Azure AD groups and product access equal to Microsoft Graph" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /image/ /
# The authorities for Microsoft Graph, for both TLS libraries; mount another file over it
# or name one of yours.
ENV PATH=/usr/local/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
# For the embedded database of a trial; nothing else is ever written.
WORKDIR /var/lib/nexus-dirsync
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/nexus-dirsync"]
CMD ["run"]
