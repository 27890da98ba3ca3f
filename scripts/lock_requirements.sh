#!/usr/bin/env bash
# Writes the locked lists of packages, no addresses in them:
#   requirements.lock                    all that developers need
#   container/requirements-cpu.lock      what the container needs, with hashes
#   container/requirements-gpu.lock      the same with TensorFlow's CUDA packages
#   container/environment.yml            the first of these two for conda
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=${UV:-uv}

compile() {
    "$uv" pip compile --quiet --python-version 3.12 --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --constraint scripts/constraints.txt "$@"
}

write() {
    local file=$1 about=$2
    shift 2
    { echo "# $about; made by scripts/lock_requirements.sh."; "$@"; } >"$file.new"
    mv "$file.new" "$file"
}

write requirements.lock "Every package that is installed, with its version" \
    compile --extra test pyproject.toml scripts/tools.txt
# The container has the versions that were tested.
write container/requirements-cpu.lock "Packages of the container, with hashes" \
    compile --extra engines --generate-hashes --constraint requirements.lock \
    pyproject.toml scripts/build_tools.txt
write container/requirements-gpu.lock "Packages of the container with CUDA, with hashes" \
    compile --extra engines --extra gpu --generate-hashes --constraint requirements.lock \
    pyproject.toml scripts/build_tools.txt

conda_environment() {
    printf 'name: cherenkov-mlops\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.12\n'
    printf '  - pip\n  - pip:\n'
    sed -n 's/^\([A-Za-z0-9._-]*==[^ ;]*\).*/      - \1/p' container/requirements-cpu.lock
}
write container/environment.yml "The packages of the container for conda, as cotainr takes it" \
    conda_environment
