# SPDX-License-Identifier: LGPL-2.1-or-later
# As hold.pl, for text files. Written to is a copy: bash never changes a string in its place.
LC_ALL=C
names=("$@")
held=()
suffix=
for name in "${names[@]}"; do
        held+=("$(<"$name")")
done
echo ready
while read -r line; do
        if [ "$line" = write ]; then
                suffix+=x
                held=("${held[@]/%/x}")
        fi
        wrong=
        for i in "${!names[@]}"; do
                [ "${held[i]}" = "$(<"${names[i]}")$suffix" ] || wrong+=" ${names[i]}"
        done
        if [ "$wrong" ]; then
                echo "differs:$wrong"
        else
                echo same
        fi
done
