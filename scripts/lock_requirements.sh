#!/usr/bin/env bash
# Writes requirements.lock: every package with its version, no addresses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=${UV:-uv}
{
    echo "# Every package that is installed, with its version; made by scripts/lock_requirements.sh."
    "$uv" pip compile --quiet --python-version 3.12 --extra test --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links \
        --constraint scripts/constraints.txt pyproject.toml scripts/tools.txt
} >requirements.lock.new
mv requirements.lock.new requirements.lock
