# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the suites in tests/suites share. ./check starts a suite in the top directory and sets
#   CHECK_RESULTS  file for the results, a line each: "pass NAME", "fail NAME" or "skip NAME"
#   CHECK_LENGTH   quick, normal or full
#   CHECK_SCRATCH  a directory for the suite's own files, removed afterwards
# What a suite prints is for the reader; the exit status counts only if it is not 0.
set -u

: "${CHECK_RESULTS:?}" "${CHECK_LENGTH:?}" "${CHECK_SCRATCH:?}"

passed() {
        echo "pass $*" >>"$CHECK_RESULTS"
        echo "ok      $*"
}

failed() {
        echo "fail $*" >>"$CHECK_RESULTS"
        echo "FAILED  $*"
}

# try NAME COMMAND...: one test, passed if the command succeeds; otherwise the end of what it printed is shown.
try() {
        # The command may be a function of the suite, and sees these names.
        local try_name=$1 try_log=$CHECK_SCRATCH/try.log
        shift
        if "$@" >"$try_log" 2>&1; then
                passed "$try_name"
        else
                failed "$try_name"
                tail -n 100 "$try_log" | sed 's/^/        /'
        fi
}

# by_length QUICK NORMAL FULL: the one for this run.
by_length() {
        case $CHECK_LENGTH in
        quick) echo "$1" ;;
        normal) echo "$2" ;;
        full) echo "$3" ;;
        esac
}

# meson_tests BUILD SUITE [OPTION...]: the tests of one meson suite.
meson_tests() {
        local build=$1 suite=$2 log=$1/meson-logs/testlog.json
        shift 2
        rm -f "$log"
        # Its summary counts programs rather than tests.
        meson test -C "$build" --suite "$suite" --no-rebuild --print-errorlogs "$@" 2>&1 |
                grep --line-buffered -vE '^((Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): +[0-9]+ *)?$|^Full log'
        if [ -s "$log" ]; then
                tests/lib/meson-results "$log" >>"$CHECK_RESULTS"
        else
                failed "$suite: no test ran in $build"
        fi
}

# source_files PATTERN...: our own files whose names match.
source_files() {
        local pattern names=()
        for pattern; do
                names+=(-o -name "$pattern")
        done
        find . \( -path ./.git -o -path './build*' -o -path ./LICENSES -o -path '*/data' -o -path '*/corpus' \) \
                -prune -o -type f \( "${names[@]:1}" \) -print
}

# scripts INTERPRETER...: our own executable files and what they source.
scripts() {
        local shell
        for shell; do
                source_files '*' | xargs -d '\n' grep -lE "^#!.*[/ ]$shell\$|^# shellcheck shell=$shell\$"
        done | sort -u
}
