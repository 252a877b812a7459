# syntax=docker/dockerfile:1
# Built in one stage, run in another that holds the program and nothing else: no shell, no package
# manager, no library, not root. Mount /data (SQLite) and /keys, or set TOKENSMITH_DATABASE_URL and
# TOKENSMITH_MASTER_KEY_FILE. The root file system may be read-only (`docker run --read-only`).

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# One file that needs no library: deploy/check-image-root.sh builds it the same way and tries it out.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    deploy/build-static.sh /tokensmith \
    && cargo install --quiet --locked --version 0.5.9 cargo-cyclonedx \
    && cargo xtask sbom --output /tokensmith.cdx.json \
    && mkdir -p /empty

# `docker build --target sbom --output sbom .` hands out the list of what the program is made of.
FROM scratch AS sbom
COPY --from=build /tokensmith.cdx.json /

# CA certificates, time zones, /etc/passwd, an empty /tmp; about 2 MB.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /tokensmith /usr/local/bin/tokensmith
COPY --from=build /tokensmith.cdx.json /usr/share/doc/tokensmith/
COPY --from=build --chown=nonroot:nonroot /empty /data
COPY --from=build --chown=nonroot:nonroot /empty /keys
ENV TOKENSMITH_LISTEN=0.0.0.0:8080 \
    TOKENSMITH_DATA_DIR=/data \
    TOKENSMITH_KEYS_DIR=/keys
VOLUME ["/data", "/keys"]
EXPOSE 8080
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
# No HEALTHCHECK: there is no shell that could run one. Ask /readyz by HTTP, as Kubernetes does.
ENTRYPOINT ["/usr/local/bin/tokensmith"]
CMD ["serve"]
