# A static binary and the certificates it trusts, nothing else. It is cross-compiled on
# the builder's own platform, and nothing runs in the last two stages: images for other
# platforms need no emulation.

ARG GO_VERSION=1.26

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS modules
WORKDIR /src
# Modules change less often than the source, and so have a layer of their own.
COPY go.mod go.sum ./
RUN go mod download

FROM modules AS build
COPY . .
ARG TARGETOS
ARG TARGETARCH
# The history is not in the build context; whoever builds says which version it is, and of
# which commit and when.
ARG VERSION=dev
ARG COMMIT
ARG DATE
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.linkedVersion=$VERSION -X main.linkedCommit=$COMMIT -X main.linkedDate=$DATE" -o /out/registry-gc ./cmd/registry-gc

# For jobs of GitLab, whose scripts need a shell: --target job.
FROM alpine:3 AS job
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/registry-gc /usr/local/bin/registry-gc
USER 65532:65532

FROM scratch
ARG VERSION=dev
ARG COMMIT
ARG DATE
LABEL org.opencontainers.image.title="registry-gc" \
      org.opencontainers.image.description="Removes dead tags from GitLab's container registry" \
      org.opencontainers.image.source="https://gitlab.com/registry-gc/registry-gc" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$DATE"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/registry-gc /registry-gc
# A number, since there is no /etc/passwd, and since Kubernetes cannot tell that a name
# is not root.
USER 65532:65532
ENTRYPOINT ["/registry-gc"]
