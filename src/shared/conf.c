/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "shared/conf.h"
#include "shared/ini.h"
#include "shared/log.h"
#include "shared/macro.h"
#include "shared/parse.h"

/* Far above any sensible file, far below what would hurt to hold in memory. */
#define FILE_BYTES_MAX (1024U * 1024U)
#define MIB (UINT64_C(1024) * 1024)

struct item {
        const char *section, *key;
        int (*parse)(const struct item *item, const char *value, void *field);
        size_t offset;
        const char *initial;  /* the default, as if written; an empty assignment returns to it */
        const char *expected; /* completes "write ..." */
        uint64_t min, max;
};

static const char *const mechanism_names[] = {
        [MECHANISM_AUTO] = "auto",
        [MECHANISM_DIRECT] = "direct",
        [MECHANISM_KSM] = "ksm",
        [MECHANISM_OBSERVE] = "observe",
};

const char *mechanism_to_string(enum mechanism m)
{
        if (m < 0 || m >= MECHANISM_MAX_)
                return NULL;
        return mechanism_names[m];
}

enum mechanism mechanism_from_string(const char *s)
{
        for (size_t i = 0; i < ELEMENTSOF(mechanism_names); i++)
                if (streq(s, mechanism_names[i]))
                        return (enum mechanism) i;
        return MECHANISM_INVALID_;
}

static int parse_mechanism(const struct item *item, const char *value, void *field)
{
        enum mechanism m = mechanism_from_string(value);

        if (m == MECHANISM_INVALID_)
                return -EINVAL;
        *(enum mechanism *) field = m;
        return 0;
}

static int parse_log_level(const struct item *item, const char *value, void *field)
{
        int level = log_level_from_string(value);

        if (level < LOG_ERR)
                return -EINVAL;
        *(int *) field = level;
        return 0;
}

static int check_range(const struct item *item, uint64_t n, void *field)
{
        if (n < item->min || n > item->max)
                return -ERANGE;
        *(uint64_t *) field = n;
        return 0;
}

static int parse_number(const struct item *item, const char *value, void *field)
{
        uint64_t n;
        int r;

        r = parse_uint64(value, &n);
        return r < 0 ? r : check_range(item, n, field);
}

static int parse_size(const struct item *item, const char *value, void *field)
{
        uint64_t n;
        int r;

        r = parse_bytes(value, &n);
        return r < 0 ? r : check_range(item, n, field);
}

static int parse_boolean_or_unset(const struct item *item, const char *value, void *field)
{
        bool b;
        int r;

        if (streq(value, "")) {
                *(int *) field = -1;
                return 0;
        }
        r = parse_boolean(value, &b);
        if (r < 0)
                return r;
        *(int *) field = b;
        return 0;
}

#define FIELD(name) offsetof(struct conf, name)
static const struct item items[] = {
        { "Daemon", "Mechanism", parse_mechanism, FIELD(mechanism), "auto", "auto, direct, ksm or observe" },
        { "Daemon", "BookkeepingMax", parse_size, FIELD(bookkeeping_max_bytes), "64M",
          "a size from 1M to 64G", MIB, 65536 * MIB },
        { "Daemon", "LogLevel", parse_log_level, FIELD(log_level), "info",
          "err, warning, notice, info or debug" },
        { "KSM", "PagesToScan", parse_number, FIELD(ksm_pages_to_scan), "2000",
          "a number from 1 to 1000000", 1, 1000000 },
        { "KSM", "SleepMilliSec", parse_number, FIELD(ksm_sleep_millisecs), "0",
          "a number from 0 to 60000", 0, 60000 },
        { "KSM", "UseZeroPages", parse_boolean_or_unset, FIELD(ksm_use_zero_pages), "",
          "yes, no, or nothing for what the kernel has" },
};

static int assign(const struct item *item, const char *value, struct conf *c)
{
        return item->parse(item, *value ? value : item->initial, (char *) c + item->offset);
}

void conf_init(struct conf *c)
{
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                (void) assign(items + i, "", c);
}

static bool is_private(const char *name)
{
        /* Left to other programs and to notes, systemd.syntax(7). */
        return strncmp(name, "X-", 2) == 0;
}

static bool section_is_known(const char *section)
{
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                if (streq(items[i].section, section))
                        return true;
        return false;
}

static int on_section(const struct ini_place *place, void *userdata)
{
        if (!section_is_known(place->section) && !is_private(place->section))
                log_warning("%s:%u: section [%s] is not known and ignored; [Daemon] and [KSM] are",
                            place->name, place->line, place->section);
        return 0;
}

static int on_assign(const struct ini_place *place, const char *key, const char *value, void *userdata)
{
        struct conf *c = userdata;

        for (size_t i = 0; i < ELEMENTSOF(items); i++) {
                if (!streq(items[i].section, place->section) || !streq(items[i].key, key))
                        continue;
                if (assign(items + i, value, c) < 0)
                        return log_error_errno(-EINVAL, "%s:%u: %s=%s: not understood; write %s",
                                               place->name, place->line, key, value, items[i].expected);
                return 0;
        }
        if (section_is_known(place->section) && !is_private(key))
                log_warning("%s:%u: %s= is not known in [%s] and ignored; see mergememd.conf(5)",
                            place->name, place->line, key, place->section);
        return 0;
}

int conf_parse(const char *name, const char *text, size_t size, struct conf *c)
{
        static const struct ini_handler handler = { on_section, on_assign };
        struct conf result = *c;
        int r;

        r = ini_parse(name, text, size, &handler, &result);
        if (r < 0)
                return r;
        *c = result;
        return 0;
}

static int read_file(const char *path, char **ret, size_t *ret_size)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        text = malloc(FILE_BYTES_MAX + 1);
        if (!text)
                return -ENOMEM;

        for (;;) {
                ssize_t n = read(fd, text + size, FILE_BYTES_MAX + 1 - size);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > FILE_BYTES_MAX)
                        return -EFBIG;
        }
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

int conf_load(const char *path, struct conf *ret)
{
        _cleanup_(freep) char *text = NULL;
        struct conf c;
        size_t size = 0;
        int r;

        r = read_file(path, &text, &size);
        if (r == -ENOENT)
                return r;
        if (r == -EFBIG)
                return log_error_errno(r, "%s: larger than 1 MiB; that is no configuration file", path);
        if (r < 0)
                return log_error_errno(r, "%s: cannot be read: %m", path);

        conf_init(&c);
        r = conf_parse(path, text, size, &c);
        if (r < 0)
                return r;
        *ret = c;
        return 0;
}
