#!/usr/bin/env bash
# The self-checking scenarios, side by side against one hub.
set -euo pipefail

if ! "$TARGET/debug/carillon" help | grep -qE '^ +stress\b'; then
    echo "this build has no stress command"
    exit 0
fi
"$TARGET/debug/carillon" stress --self
