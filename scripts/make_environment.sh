#!/usr/bin/env bash
# Makes the environment (default .venv) with Python 3.12 and the pinned packages.
# A Python 3.12 is looked for under the usual names, in pyenv and in conda.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}

is_312() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null
}

find_python() {
    local candidates=(python3.12 python3 python "$HOME"/.pyenv/versions/3.12*/bin/python3.12)
    if [ -n "${PYENV_ROOT:-}" ]; then candidates+=("$PYENV_ROOT"/versions/3.12*/bin/python3.12); fi
    for base in "${CONDA_PREFIX:-}" "${CONDA_EXE:+${CONDA_EXE%/bin/conda}}" \
                "${MAMBA_ROOT_PREFIX:-}" "$HOME/miniconda3" "$HOME/miniforge3" "$HOME/mambaforge" \
                "$HOME/micromamba" "$HOME/anaconda3" "$HOME/.conda" /opt/conda; do
        if [ -n "$base" ]; then candidates+=("$base/bin/python3.12" "$base"/envs/*/bin/python3.12); fi
    done
    for candidate in "${candidates[@]}"; do
        if is_312 "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: Python 3.12 is needed and was not found; install it with one of" >&2
    echo "  pyenv install 3.12      conda create -n py312 python=3.12" >&2
    return 1
}

is_whole() {
    is_312 "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

# One that was left half-made is made again.
if ! is_whole; then
    python=$(find_python)
    rm -rf "$venv"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "error: $python cannot make an environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    fi
fi
# uv, itself a package, installs in seconds what pip needs minutes for.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' requirements.lock)"
# Compiled now: the packages are large, and some machines forbid Python to keep what it compiles.
"$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --requirement requirements.lock
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
echo "environment ready: $venv"
