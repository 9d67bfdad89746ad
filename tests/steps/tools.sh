#!/usr/bin/env bash
# Installs what the other steps need: system packages as root through apt (else says which are missing), rustfmt and
# clippy through rustup, buf from npm and the Python packages from PyPI under $TOOLS.
set -euo pipefail

# The buf release that lints, formats and compares the protocol.
BUF_VERSION=1.75.0

has() { command -v "$1" >/dev/null 2>&1; }

if ! has cargo; then
    echo "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later" >&2
    exit 1
fi

packages=()
has git || packages+=(git)
has cc && has make || packages+=(build-essential)
has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
has npm || packages+=(nodejs npm)
has chromium || packages+=(chromium fonts-noto-color-emoji)
has sqlite3 || packages+=(sqlite3)
has redis-server || packages+=(redis-server)
has haproxy || packages+=(haproxy)
# Nodes whose clocks differ.
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || packages+=(libfaketime)
has openssl || packages+=(openssl)
has curl || packages+=(curl)
if ((${#packages[@]})); then
    if ! has apt-get || (($(id -u) != 0)); then
        echo "missing; install these and run again: ${packages[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# The page's builder and the browser's driver need it; Debian 12 has 18.
NODE_VERSION=20.19
if ! printf '%s\n' "v$NODE_VERSION" "$(node --version)" | sort --version-sort --check=quiet; then
    echo "node $(node --version) is too old: install $NODE_VERSION or later" >&2
    exit 1
fi

for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done

if [[ "$(buf --version 2>/dev/null)" != "$BUF_VERSION" ]]; then
    npm install --prefix "$TOOLS" --no-save --no-audit --no-fund --loglevel=error "@bufbuild/buf@$BUF_VERSION"
    hash -r
fi
echo "buf $(buf --version)"

# A venv holds absolute paths: another interpreter or another list of packages makes a new one.
stamp="$(python3 --version) $(cksum <tests/python/requirements.txt)"
if [[ "$(cat "$TOOLS/python/stamp" 2>/dev/null)" != "$stamp" ]]; then
    rm -rf "$TOOLS/python"
    python3 -m venv "$TOOLS/python"
    "$TOOLS/python/bin/pip" install --quiet --disable-pip-version-check -r tests/python/requirements.txt
    echo "$stamp" >"$TOOLS/python/stamp"
fi
"$TOOLS/python/bin/python" --version
