#!/usr/bin/env bash
# Everything that must hold: lint, types, tests, the demo. A failing part does not hide the ones after it.
# Usage: tools/test.sh     PYTEST_ARGS='tests/images -k lists' chooses tests; WORKERS=4 runs as many at once.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

bin=.venv/bin
failed=()
times=()

# Runs a part and remembers how it went.
part() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed+=("$name")
    times+=("$name $((SECONDS - start)) s")
}

# Tests that share an expensive thing (a running system, a guest) name it as their group and stay on one worker.
run_tests() {
    local workers=${WORKERS:-$(nproc)}
    # shellcheck disable=SC2086 # several arguments
    "$bin/pytest" -q -n "$((workers < 2 ? 2 : workers))" --dist loadgroup ${PYTEST_ARGS:-}
}

joined() { local IFS=,; printf '%s' "${*/#/ }"; }

part setup tools/setup.sh
if [ ${#failed[@]} = 0 ]; then
    part lint "$bin/ruff" check
    part format "$bin/ruff" format --check --quiet
    part types "$bin/mypy"
    part demo "$bin/stillframe" demo
    part tests run_tests
fi

printf '\n'
if [ ${#failed[@]} = 0 ]; then verdict=PASSED; else verdict="FAILED in$(joined "${failed[@]}")"; fi
printf 'make test: %s (%s s:%s)\n' "$verdict" "$SECONDS" "$(joined "${times[@]}")"
[ ${#failed[@]} = 0 ]
