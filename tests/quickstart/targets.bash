# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The programs that ./quickstart merges, as one unprivileged user: perl, python3, bash, awk and sort, several
# processes each, that hold the same files of the system in private memory. $dir is quickstart's directory.
: "${dir:?}"

# An id that no user and no process has: whatever it owns was started here.
target_uid=61184
while getent passwd "$target_uid" >/dev/null ||
      grep -qsE "^Uid:.*[[:space:]]$target_uid\b" /proc/[0-9]*/status; do
        target_uid=$((target_uid + 1))
done

holders=()      # process ids of those that answer,
answers=()      # through these file descriptors
sorts=()        # process ids of sort, which says nothing before its input ends,
feeders=()      # and of what keeps its input open

data=() text=() # the files that they hold; bash and awk take only text

# run COMMAND...: as the unprivileged user, and not longer than this script. A change of user takes the
# signal of the parent's death away, so that comes after it.
run() {
        exec setpriv --reuid="$target_uid" --regid="$target_uid" --clear-groups \
                setpriv --pdeathsig KILL "$@"
}

# start_holder COMMAND...: stdin, or if the command names it, the file TO, is the FIFO through which it is
# told what to do.
start_holder() {
        local n=${#holders[@]} in out
        in=$dir/to.$n
        mkfifo -m 644 "$in"
        mkfifo "$dir/from.$n"
        exec {out}<>"$dir/from.$n"
        answers+=("$out")
        case " $* " in
        *" TO "*) set -- "${@/#TO/$in}"; in=/dev/null ;;
        esac
        (run "$@" <>"$in" >"$dir/from.$n") &
        holders+=($!)
}

# Its input, the data, ends when somebody has opened and closed the gate.
start_sort() {
        local n=${#sorts[@]}
        mkfifo "$dir/input.$n"
        setpriv --pdeathsig KILL cat "${data[@]}" "$dir/gate" >"$dir/input.$n" &
        feeders+=($!)
        (LC_ALL=C run sort --parallel=1 --buffer-size=64M <"$dir/input.$n" >"$dir/sorted.$n") &
        sorts+=($!)
}

# A library's own written pages are addresses for the most part, equal only where the layout is.
fixed_layout=()
if setarch -R true 2>/dev/null; then
        fixed_layout=(setarch -R)
fi

# start_targets N: N processes of each program.
start_targets() {
        local i
        data=(/usr/bin/perl /bin/bash /usr/bin/python3)
        data+=("$(awk '$6 ~ /\/libc\.so\.6$/ { print $6; exit }' /proc/self/maps)")
        text=(/usr/lib/python3.*/pydoc_data/topics.py /usr/lib/python3.*/_pydecimal.py)
        cp tests/quickstart/hold.* "$dir"
        chmod 644 "$dir"/hold.*
        mkfifo "$dir/gate"
        for ((i = 0; i < $1; i++)); do
                start_holder perl "$dir/hold.pl" "${data[@]}" "${text[@]}"
                start_holder "${fixed_layout[@]}" python3 -I "$dir/hold.py" "${data[@]}" "${text[@]}"
                start_holder bash "$dir/hold.bash" "${text[@]}"
                start_holder awk -f "$dir/hold.awk" TO "${text[@]}"
                start_sort
        done
        expect ready && wait_for_sorts && [ -z "$(idle)" ]
}

# Those that do not have the text in their private memory.
idle() {
        local pid size
        size=$(($(cat "${text[@]}" | wc -c) / $(getconf PAGESIZE)))
        for pid in "${holders[@]}" "${sorts[@]}"; do
                [ "$("$dir/recount" "$pid")" -ge "$size" ] || echo "$pid"
        done
}

wait_for_sorts() {
        local size pid attempt
        size=$(cat "${data[@]}" | wc -c)
        for pid in "${sorts[@]}"; do
                for ((attempt = 0; attempt < 100; attempt++)); do
                        [ "$(awk '/^rchar/ { print $2 }' "/proc/$pid/io")" -lt "$size" ] || continue 2
                        sleep 0.1
                done
                return 1
        done
}

# expect ANSWER: from each that answers.
expect() {
        local n answer status=0
        for n in "${!holders[@]}"; do
                answer=
                read -r -t 30 -u "${answers[n]}" answer
                if [ "$answer" != "$1" ]; then
                        echo "process ${holders[n]} ($(cat "/proc/${holders[n]}/comm")): ${answer:-no answer}" >&2
                        status=1
                fi
        done
        return $status
}

# ask check|write: let each compare what it holds with the files, after a change of its own for "write".
ask() {
        local n
        for n in "${!holders[@]}"; do
                timeout 30 tee "$dir/to.$n" <<<"$1" >/dev/null
        done
        expect same
}

# Ends the input of the sorts; each must have sorted what it held.
finish_sorts() {
        local n
        cat "${data[@]}" | LC_ALL=C sort >"$dir/expected"
        : >"$dir/gate"
        for n in "${!sorts[@]}"; do
                wait "${sorts[n]}" && cmp "$dir/expected" "$dir/sorted.$n" || return 1
        done
        sorts=()
}

stop_targets() {
        local pid
        for pid in "${holders[@]}" "${sorts[@]}" "${feeders[@]}"; do
                kill -KILL "$pid"
                wait "$pid"
        done
        holders=() sorts=() feeders=()
} 2>/dev/null
