# The exporter in an empty image: one static binary, the CA certificates, a user. Nothing in it can be run but the
# exporter, and nothing in it is ever written.
#
#     docker build --tag conferencing_exporter .
#     docker run --rm --read-only --publish 19680:19680 \
#         --volume "$PWD/exporter.yaml:/etc/conferencing_exporter/exporter.yaml:ro" conferencing_exporter
#
# For another architecture add --platform linux/arm64: nothing below depends on it.

FROM docker.io/library/rust:1.95-slim-bookworm AS rust
WORKDIR /build
# Static, so that the last stage needs no libc. With --target the flag spares build scripts and macros.
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_TERM_COLOR=never
RUN rustc -vV | sed -n 's/^host: /export CARGO_BUILD_TARGET=/p' >/target.env && test -s /target.env

# What the dependencies depend on: the manifests, and every source file that is a target of its own, emptied. As long as
# these stay the same, so does the next layer, and the dependencies are not built again.
FROM rust AS skeleton
COPY . .
RUN find . -type f ! -name '*.rs' ! -name Cargo.toml ! -name Cargo.lock -delete \
    && find . -path '*/src/*/*' -type f -delete \
    && find ./src ./simulator/src -type f ! -name lib.rs ! -name main.rs -delete \
    && find . -type d -empty -delete \
    && find . -name '*.rs' | while read -r file; do echo 'fn main() {}' >"$file"; done

FROM rust AS dependencies
COPY --from=skeleton /build .
RUN . /target.env && cargo build --release --locked --bin conferencing_exporter

FROM dependencies AS build
# Which commit this is, for --version and conferencing_exporter_build_info.
ARG REVISION=unknown
COPY . .
# Cargo goes by times: these files are older than what was built of the emptied ones.
RUN . /target.env && find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && BUILD_REVISION="$REVISION" cargo build --release --locked --bin conferencing_exporter \
    && install -D "target/$CARGO_BUILD_TARGET/release/conferencing_exporter" /image/usr/bin/conferencing_exporter \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -D -m 0644 LICENSE /image/usr/share/licenses/conferencing_exporter/LICENSE \
    && echo 'nonroot:x:65532:65532:nonroot:/:/usr/bin/conferencing_exporter' >/image/etc/passwd \
    && echo 'nonroot:x:65532:' >/image/etc/group

# The demo's conferencing systems: docker build --target simulator. Not part of the exporter's image.
# Both packages are named: with the exporter's features of the dependencies none of them is built once more.
FROM build AS build-simulator
RUN . /target.env && cargo build --release --locked --package conferencing_exporter --package simulator --bin simulator \
    && install -D "target/$CARGO_BUILD_TARGET/release/simulator" /demo/usr/bin/simulator

FROM scratch AS simulator
COPY --from=build-simulator /demo /
USER 65532:65532
ENTRYPOINT ["/usr/bin/simulator"]

FROM scratch AS exporter
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="conferencing_exporter" \
      org.opencontainers.image.description="Prometheus exporter for conferencing systems: OpenVox UC, Yeastar S-Series, Yeastar P-Series, Huawei Cloud Meeting, DingTalk, Asterisk, FreeSWITCH, Janus, BigBlueButton" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/conferencing-exporter/conferencing_exporter" \
      org.opencontainers.image.documentation="https://github.com/conferencing-exporter/conferencing_exporter#readme" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image /
ENV CONFERENCING_EXPORTER_CONFIG_FILE=/etc/conferencing_exporter/exporter.yaml
# One heap for all threads, on large pages where the kernel has them, takes a fifth less memory and a tenth less CPU time:
# docs/decisions/allocator.md.
ENV MALLOC_ARENA_MAX=1 GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0
USER 65532:65532
EXPOSE 19680
# Asks the exporter's own /-/healthy: there is no curl in here.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/bin/conferencing_exporter", "healthcheck"]
ENTRYPOINT ["/usr/bin/conferencing_exporter"]
