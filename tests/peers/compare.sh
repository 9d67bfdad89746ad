#!/usr/bin/env bash
# Fan-out beside what else one could take: the hub over WebSocket, WebSocket with JSON and gRPC, each with the bare tokio
# writer in the same run, and Socket.IO on Node. Prints a table for 100 messages/s and one for bursts of 64.
#
#   tests/peers/compare.sh
#
# RECEIVERS (1000), SECONDS_EACH (10) and ROUNDS (3) change the load. Needs Node 20 and two processors.
set -euo pipefail
cd "$(dirname "$0")/../.."

receivers="${RECEIVERS:-1000}" seconds="${SECONDS_EACH:-10}" rounds="${ROUNDS:-3}"
target="${CARGO_TARGET_DIR:-$PWD/target}"
reports="$(mktemp -d)"
trap 'rm -rf "$reports"' EXIT

cargo build --release --locked -p carillon -p carillon-peer-raw
npm ci --prefix tests/peers/socketio --no-audit --no-fund --silent

# More open files than a shell has by default: each receiver is one.
ulimit -n "$(ulimit -Hn)"

compare() {
    local title="$1" transport arguments=()
    shift
    for transport in ws ws-json grpc; do
        "$target/release/carillon" bench fanout --self --json --transport "$transport" --peer raw --receivers "$receivers" \
            --seconds "$seconds" --rounds "$rounds" "$@" >"$reports/$transport.json"
        arguments+=("$transport=$reports/$transport.json")
    done
    taskset -c 1 node tests/peers/socketio/load.mjs --receivers "$receivers" --seconds "$seconds" "$@" \
        >"$reports/socketio.json"
    printf '\n%s receivers in one room, %s\n\n' "$receivers" "$title"
    node tests/peers/table.mjs "${arguments[@]}" "Socket.IO 4.8=$reports/socketio.json"
}

compare "100 messages/s" --rate 100
compare "bursts of 64, the next when all have received" --burst 64
