/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "run/program-file.h"
#include "shared/macro.h"

/* Programs that mergemem-run is to start. */

static void parse_script(const uint8_t *data, size_t size)
{
        char line[PROGRAM_LINE_MAX + 1], *interpreter = NULL, *argument = NULL;
        size_t n = MIN(size, (size_t) PROGRAM_LINE_MAX);
        int r;

        memcpy(line, data, n);
        line[n] = 'x';
        r = program_parse_script(line, n, &interpreter, &argument);
        CHECK(r == 1 || r == 0 || r == -ENOEXEC);
        if (r != 1) {
                CHECK(!interpreter && !argument);
                return;
        }
        CHECK(interpreter >= line + 2 && interpreter + strlen(interpreter) <= line + n);
        CHECK(*interpreter != '\0' && !strpbrk(interpreter, " \t\n"));
        if (argument) {
                CHECK(argument > interpreter && argument + strlen(argument) <= line + n);
                CHECK(*argument != '\0' && *argument != ' ' && *argument != '\t' && !strchr(argument, '\n'));
                CHECK(!strchr(" \t", argument[strlen(argument) - 1]));
        }
}

static void check_code(const uint8_t *data, size_t size, const uint8_t *code, size_t length,
                       uint64_t address)
{
        CHECK(address == 0 || memmem(data, size, code, length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct program_elf elf, before;
        int r;

        parse_script(data, size);

        memset(&elf, 0, sizeof(elf));
        memset(&before, 0, sizeof(before));
        r = program_parse_elf(data, size, &elf);
        if (r < 0) {
                CHECK(r == -ENOEXEC || r == -EINVAL || r == -E2BIG || r == -EAFNOSUPPORT);
                CHECK(memcmp(&elf, &before, sizeof(elf)) == 0);
                return 0;
        }
        if (elf.interpreter) {
                const char *end = (const char *) data + size;

                CHECK(elf.interpreter >= (const char *) data && elf.interpreter < end);
                CHECK(memchr(elf.interpreter, '\0', (size_t) (end - elf.interpreter)));
                CHECK(elf.code.call == 0 && elf.code.restorer == 0);
        }
        check_code(data, size, (const uint8_t[]){ 0x0f, 0x05, 0xc3 }, 3, elf.code.call);
        check_code(data, size, (const uint8_t[]){ 0x0f, 0, 0, 0, 0x0f, 0x05 }, 6, elf.code.restorer);
        return 0;
}
