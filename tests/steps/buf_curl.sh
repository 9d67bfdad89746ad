#!/usr/bin/env bash
# The hub as `buf curl` and curl see it: plain gRPC, with the messages from reflection or from proto/, and HTTP. Two users
# and a service talk, the documents' own lines work, the hub is killed with -9 and started again, and what was
# acknowledged is there.
set -euo pipefail

WORK="$(mktemp -d)"
HUB=
trap '[[ -z "$HUB" ]] || kill -9 "$HUB" 2>/dev/null || true; rm -rf "$WORK"' EXIT
# Seconds that an answer may take.
PATIENCE=30
ADDRESS=127.0.0.1:0
CHECKS=0

# Starts the hub and waits for its line that says where it serves.
start_hub() {
    rm -f "$WORK/ready"
    mkfifo "$WORK/ready"
    "$TARGET/debug/carillon" serve --dev --json --data "$WORK/carillon-data" --grpc "$ADDRESS" --http 127.0.0.1:0 --bridge 127.0.0.1:0 \
        >"$WORK/ready" 2>"$WORK/hub.log" &
    HUB=$!
    if ! READY="$(timeout 60 head -n 1 "$WORK/ready")" || [[ -z "$READY" ]]; then
        cat "$WORK/hub.log" >&2
        fail "the hub starts"
    fi
    ADDRESS="$(field grpc <<<"$READY")"
    ADDRESS="${ADDRESS#http://}"
    BRIDGE="$(field bridge <<<"$READY")"
}

# A field of the JSON on standard input, as `messageSent.number`; lists by index.
field() {
    "$TOOLS/python/bin/python" -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name)] if isinstance(value, list) else value.get(name, "")
print(value)' "$1"
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

ok() {
    CHECKS=$((CHECKS + 1))
    echo "ok: $1"
}

# is WHAT GOT WANTED
is() {
    [[ "$2" == "$3" ]] || fail "$1: got «$2», wanted «$3»"
    ok "$1"
}

# call WHO METHOD JSON [OPTION...]
call() {
    local who="$1" method="$2" json="$3"
    shift 3
    timeout $PATIENCE buf curl --protocol grpc --http2-prior-knowledge "$@" \
        -H "authorization: Bearer $(field "tokens.$who" <<<"$READY")" -d "$json" "http://$ADDRESS/carillon.v1.$method"
}

# message KEY TEXT
message() {
    printf '{"idempotencyKey": "%s", "messageSend": {"room": "room:lobby", "content": {"text": "%s"}}}' "$1" "$2"
}

seq_of() { field messageSent.position.seq; }

# A command that stays open: what is written to descriptor 3 is sent, what comes is read from descriptor 4.
open_session() {
    rm -f "$WORK/in" "$WORK/out"
    mkfifo "$WORK/in" "$WORK/out"
    "$@" <"$WORK/in" >"$WORK/out" 2>"$WORK/session.log" &
    exec 3>"$WORK/in" 4<"$WORK/out"
}

# The fenced blocks of a document in which PATTERN stands.
blocks() {
    awk -v pattern="$2" '
        /^```/ { if (inside && index(block, pattern)) printf "%s", block; inside = !inside; block = ""; next }
        inside { block = block $0 "\n" }
    ' "$1"
}

# Runs the lines of a document as a reader would, in a folder beside the hub's data, with this hub's addresses.
as_written() {
    local lines
    lines="$(sed "s|127.0.0.1:7420|$ADDRESS|; s|127.0.0.1:7422|$BRIDGE|; s|target/release/carillon|$TARGET/debug/carillon|" <<<"$1")"
    cd "$WORK" && timeout $PATIENCE bash -euc "$lines"
}

close_session() {
    exec 3>&- 4<&-
    wait "$!" || true
}

# Reads on until a line has PATTERN.
hear() {
    local line
    while read -r -t $PATIENCE line <&4; do
        if [[ "$line" == *$1* ]]; then return 0; fi
    done
    cat "$WORK/session.log" >&2
    fail "the session tells $1"
}

start_hub

services="$(buf curl --protocol grpc --http2-prior-knowledge --list-services "http://$ADDRESS")"
for service in carillon.v1.HubService carillon.v1.AdminService grpc.health.v1.Health; do
    grep -qx "$service" <<<"$services" || fail "reflection names $service"
done
ok "reflection names the services"

is "alice sends" "$(call alice HubService/Execute "$(message AAAAAAAAAAA= 'hello bob')" | seq_of)" 1
is "bob answers, with the messages from proto/" \
    "$(call bob HubService/Execute "$(message AAAAAAAAAAA= 'hello alice')" --schema . | seq_of)" 2
is "a retry gives the first result" \
    "$(call alice HubService/Execute "$(message AAAAAAAAAAA= 'hello bob')" | field messageSent.duplicate)" True
is "a service notifies bob" "$(call service AdminService/SendNotification \
    '{"tenant": "dev", "users": {"users": ["bob"]}, "kind": "note", "title": "a notice"}' | field recipients)" 1
is "a service counts, with the messages from proto/" \
    "$(call service AdminService/GetStatistics '{"tenant": "dev"}' --schema . | field messages)" 2
refused="$(call bob AdminService/GetStatistics '{"tenant": "dev"}' 2>&1 || true)"
grep -q permission_denied <<<"$refused" || fail "a user administers nothing: $refused"
ok "a user administers nothing"

for options in "" "--schema ."; do
    # shellcheck disable=SC2086  # an empty list of options is none
    open_session call bob HubService/Session @- $options
    echo '{"commandId": 1, "hello": {"protocol": 1}}' >&3
    hear '"connected"'
    hear '"inboxUnread": "1"'
    echo '{"commandId": 2, "join": {"room": "room:lobby", "rewind": 10}}' >&3
    hear '"joined"'
    hear '"text": "hello bob"'
    hear '"text": "hello alice"'
    echo '{"commandId": 3, "messageSend": {"room": "room:lobby", "content": {"text": "through a session"}}}' >&3
    hear '"text": "through a session"'
    close_session
    ok "a session tells what was said, and what is said${options:+, with the messages from proto/}"
done

token="$(blocks README.md 'TOKEN=$(' | grep -m 1 '^TOKEN=')"
said="$(as_written "$(blocks README.md /v1/commands)")"
[[ -n "$(seq_of <<<"$said")" ]] || fail "the README's curl: $said"
ok "the README's curl sends"
said="$(as_written "$(blocks README.md HubService/Execute)")"
[[ -n "$(seq_of <<<"$said")" ]] || fail "the README's command: $said"
ok "the README's command sends"
session="$(blocks README.md HubService/Session)"
open_session as_written "$token
$(grep -v '^{' <<<"$session")"
grep '^{' <<<"$session" >&3
hear '"text": "from a session"'
close_session
ok "the README's session tells what was said"
for path in /v1/commands HubService/Execute; do
    said="$(as_written "$token
$(blocks docs/client-guide.md "$path")")"
    grep -q '"messageSent"' <<<"$said" || fail "the guide's lines for $path: $said"
    ok "the guide's lines for $path work"
done

acknowledged="$(call alice HubService/Execute "$(message AQAAAAAAAAA= 'before the kill')" | seq_of)"
kill -9 "$HUB"
wait "$HUB" 2>/dev/null || true
start_hub
is "kill -9 loses nothing" \
    "$(call bob HubService/Execute '{"history": {"room": "room:lobby"}}' | field historyPage.asOf.seq)" "$acknowledged"
is "and doubles nothing" \
    "$(call alice HubService/Execute "$(message AQAAAAAAAAA= 'before the kill')" | seq_of)" "$acknowledged"

kill -TERM "$HUB"
wait "$HUB" || fail "SIGTERM ends the hub with exit code 0"
HUB=
ok "SIGTERM ends the hub with exit code 0"
echo "$CHECKS passed, 0 failed"
