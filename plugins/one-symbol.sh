#!/bin/sh
# One exported symbol, the ABI's entry: anything else would leak a plugin's names into others.
set -eu
found=$(nm -D --defined-only "$1" | awk '{print $NF}' | grep -v '^__asan\|^__odr_asan\|^__ubsan\|^___asan' || true)
if [ "$found" != sl_plugin_v0 ]; then
    printf '%s exports, instead of sl_plugin_v0 alone:\n%s\n' "$1" "$found" >&2
    exit 1
fi
