/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "shared/macro.h"

/* Stands in for libFuzzer, which only clang has: runs a target on every file of a directory. */

static void run_file(const char *path)
{
        _cleanup_(fclosep) FILE *f = NULL;
        _cleanup_(freep) uint8_t *data = NULL;
        struct stat st;

        f = fopen(path, "re");
        if (!f || fstat(fileno(f), &st) < 0)
                err(1, "%s", path);
        /* Of the exact size, so that AddressSanitizer sees a read behind the end. */
        data = malloc((size_t)st.st_size);
        if (st.st_size > 0 && (!data || fread(data, (size_t)st.st_size, 1, f) != 1))
                err(1, "%s", path);

        /* The last line is the input that ends us, if one does. */
        printf("%s\n", path);
        if (fflush(stdout) != 0)
                err(1, "stdout");
        (void) LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        unsigned n = 0;

        if (argc != 2)
                errx(2, "One argument is needed: the directory of a corpus.");
        dir = opendir(argv[1]);
        if (!dir)
                err(1, "%s", argv[1]);

        while ((entry = readdir(dir))) {
                _cleanup_(freep) char *path = NULL;

                if (*entry->d_name == '.')
                        continue;
                if (asprintf(&path, "%s/%s", argv[1], entry->d_name) < 0)
                        errx(1, "Out of memory.");
                run_file(path);
                n++;
        }
        if (n == 0)
                errx(1, "%s holds no inputs.", argv[1]);
        return 0;
}
