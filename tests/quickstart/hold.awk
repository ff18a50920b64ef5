# SPDX-License-Identifier: LGPL-2.1-or-later
# As hold.pl, for text files. Written to is a copy: awk never changes a string in its place.
function content(name,    data) {
        RS = "\001"
        if ((getline data < name) < 0) {
                print name ": cannot be read"
                exit 1
        }
        close(name)
        RS = "\n"
        return data
}

BEGIN {
        for (i = 1; i < ARGC; i++)
                held[i] = content(ARGV[i])
        suffix = ""
        print "ready"
        fflush()
        while ((getline line < "-") > 0) {
                if (line == "write") {
                        suffix = suffix "x"
                        for (i = 1; i < ARGC; i++)
                                held[i] = held[i] "x"
                }
                wrong = ""
                for (i = 1; i < ARGC; i++)
                        if (held[i] != content(ARGV[i]) suffix)
                                wrong = wrong " " ARGV[i]
                print wrong == "" ? "same" : "differs:" wrong
                fflush()
        }
}
