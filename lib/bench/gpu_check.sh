#!/usr/bin/env bash
# Everything that only a CUDA machine can say, in one run of under eight minutes: are the kernels
# right there, and how fast? Needs Python with a CUDA build of torch, and no network.
#
#   lib/bench/gpu_check.sh pack   where there is a network: the other packages, into build/gpu_packages
#   lib/bench/gpu_check.sh        on the CUDA machine; writes to $OUT (default: build/gpu) as it goes
#
# A step that fails or is out of time costs no other. The last lines say how each one ended.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$(cd .. && pwd)
packages=$root/build/gpu_packages

if [ "${1:-}" = pack ]; then
  wanted=$(sed -nE 's/^ *"((einops|jaxtyping|safetensors|tokenizers|gguf|tqdm|pytest|Jinja2|beartype|hypothesis)==[^"]*)".*/\1/p' pyproject.toml)
  # gguf and safetensors bring NumPy, which a machine with torch has: nothing else is needed.
  python3 -m pip install --quiet --no-deps --no-compile --upgrade --target "$packages" \
    $wanted wadler-lindig MarkupSafe iniconfig packaging pluggy pygments sortedcontainers
  du -sh "$packages"
  exit
fi

out=${OUT:-$root/build/gpu}
mkdir -p "$out"
python=${PYTHON:-$(test -x "$root/.venv/bin/python" && echo "$root/.venv/bin/python" || echo python3)}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
test -d "$packages" && PYTHONPATH=$PYTHONPATH:$packages
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
: >"$out/summary.txt"

step() { # name, seconds, command …
  local name=$1 limit=$2 started=$SECONDS
  shift 2
  echo "== $name"
  timeout --kill-after=5 "$limit" "$@" >"$out/$name.txt" 2>&1
  local status=$?
  echo "$name: exit $status after $((SECONDS - started)) s" | tee -a "$out/summary.txt"
  tail -n 12 "$out/$name.txt"
}

step machine 40 "$python" -m torch.utils.collect_env
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "no CUDA device, or a build of torch without CUDA: nothing to check here" | tee -a "$out/summary.txt"
  exit 1
fi
test_gpu() { step "$1" "$2" "$python" -m pytest -q -p no:cacheprovider -m gpu "${@:3}"; }
test_gpu scan 80 tests/ssm/test_kernel.py
test_gpu attention 80 tests/transformer/test_gpu_attention.py
test_gpu others 40 tests --ignore=tests/ssm/test_kernel.py --ignore=tests/transformer/test_gpu_attention.py
# Quick sizes first: a table of all rows is worth more than half of one in full.
step quick 90 "$python" -m bench --gpu --quick --runs 3 --output "$out/quick.json"
step full 140 "$python" -m bench --gpu --runs 5 --output "$out/full.json"
echo; cat "$out/summary.txt"
