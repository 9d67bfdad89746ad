#!/usr/bin/env bash
# The page: lint, and what the bridge embeds is what its source builds to, byte for byte.
set -euo pipefail

BUILT="$(mktemp -d)"
trap 'rm -rf "$BUILT"' EXIT

cd clients/page
npm ci --prefer-offline --no-audit --no-fund --loglevel=error
npm run --silent lint
npm run --silent build -- --outDir "$BUILT" --emptyOutDir --logLevel warn
if ! diff -r --brief "$BUILT" ../../bridge/assets; then
    echo "bridge/assets is not what clients/page builds to; mend it: (cd clients/page && npm ci && npm run build)" >&2
    exit 1
fi
echo "bridge/assets is current"
