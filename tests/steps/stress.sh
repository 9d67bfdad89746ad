#!/usr/bin/env bash
# The self-checking scenarios, side by side against one hub: twice over gRPC, so that its memory can be judged, and over the
# bridge.
set -euo pipefail

if ! "$TARGET/debug/carillon" help | grep -qE '^ +stress\b'; then
    echo "skipped: this build has no stress command"
    exit 0
fi
"$TARGET/debug/carillon" stress --self --repeat 2
"$TARGET/debug/carillon" stress --self --transport ws
"$TARGET/debug/carillon" stress --self --transport ws-json --only fanout,recovery_storm,random_mix
