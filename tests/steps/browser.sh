#!/usr/bin/env bash
# The page in a real browser, against a real hub that is killed in the middle.
set -euo pipefail

CARILLON_BIN="$(realpath "$TARGET/debug/carillon")"
CHROMIUM="$(command -v chromium)" || { echo "chromium is missing: tests/run tools" >&2; exit 1; }
export CARILLON_BIN CHROMIUM PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
REPORT="$(mktemp)"
trap 'rm -f "$REPORT"' EXIT

cd tests/browser
npm ci --prefer-offline --no-audit --no-fund --loglevel=error
npm run --silent lint
status=0
npm run --silent test -- --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$REPORT" || status=$?
awk '/^# pass /{ passed = $3 } /^# (fail|cancelled) /{ failed += $3 } END { print passed + 0 " passed, " failed + 0 " failed" }' "$REPORT"
exit "$status"
