#!/usr/bin/env bash
# The protocol's files: lint, format, the page that is made from their comments, and no change since the last release
# that would break a client.
set -euo pipefail

buf lint
buf format -d --exit-code
python3 tests/steps/events_page.py --check

release="$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)"
if [[ -z "$release" ]]; then
    echo "no release yet: nothing to compare with"
    exit 0
fi
before="$(mktemp -d)"
trap 'rm -rf "$before"' EXIT
git archive "$release" buf.yaml proto | tar -x -C "$before"
buf breaking --against "$before"
echo "nothing breaks clients of $release"
