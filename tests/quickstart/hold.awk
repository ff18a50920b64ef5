# SPDX-License-Identifier: LGPL-2.1-or-later
# As hold.pl, for text files. Written to is a copy: awk never changes a string in its place. The commands come
# through a FIFO, the first argument, opened anew for each: mawk reads on until its buffer is full or the end.
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
        for (i = 2; i < ARGC; i++)
                held[i] = content(ARGV[i])
        suffix = ""
        print "ready"
        fflush()
        while ((getline line < ARGV[1]) > 0) {
                close(ARGV[1])
                if (line == "write") {
                        suffix = suffix "x"
                        for (i = 2; i < ARGC; i++)
                                held[i] = held[i] "x"
                }
                wrong = ""
                for (i = 2; i < ARGC; i++)
                        if (held[i] != content(ARGV[i]) suffix)
                                wrong = wrong " " ARGV[i]
                print wrong == "" ? "same" : "differs:" wrong
                fflush()
        }
}
