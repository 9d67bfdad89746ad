#!/usr/bin/env bash
# Licences, sources and known vulnerabilities of what we depend on (deny.toml), where cargo-deny is installed.
set -euo pipefail

if ! cargo deny --version 2>/dev/null; then
    echo "cargo-deny is not installed: dependencies are not checked (cargo install cargo-deny --locked)"
    exit 0
fi
cargo deny --workspace --all-features check licenses bans sources
if cargo deny fetch db; then
    cargo deny --workspace --all-features check --disable-fetch advisories
else
    echo "the database of advisories cannot be fetched: known vulnerabilities are not checked"
fi
