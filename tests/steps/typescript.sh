#!/usr/bin/env bash
# The TypeScript client: its generated types are current, lint, unit tests, size, and a real hub killed in the middle.
set -euo pipefail

CARILLON_BIN="$(realpath "$TARGET/debug/carillon")"
export CARILLON_BIN NO_COLOR=1
REPORT="$(mktemp)"
trap 'rm -f "$REPORT"' EXIT

# Runs vitest with these options, and says how many passed and failed as tests/run counts them.
vitest() {
    local status=0
    npx --no-install vitest run --reporter=verbose --reporter=json --outputFile.json="$REPORT" "$@" || status=$?
    node -p 'const {numPassedTests: passed, numFailedTests: failed} = JSON.parse(require("fs").readFileSync(process.argv[1]));
        `${passed} passed, ${failed} failed`' "$REPORT"
    return "$status"
}

cd clients/typescript
npm ci --prefer-offline --no-audit --no-fund --loglevel=error
npm run --silent generate:check
npm run --silent lint
vitest
npm run --silent size
vitest --config vitest.hub.config.ts
