/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/layout-drop-in.h"

#include "ctl/exec-line.h"
#include "shared/log.h"
#include "shared/parse.h"

#define BLANKS " \t\n\r"

/* What the launcher calls to set a layout up, beyond what systemd permits in any case. */
#define SYSTEM_CALLS "personality ptrace"

static int refuse(const struct unit *u, const char *why)
{
        return log_error_errno(-EOPNOTSUPP, "%s cannot have a layout: %s.", u->name, why);
}

static bool is_yes(const struct unit *u, const char *section, const char *key)
{
        bool yes = false;

        return parse_boolean(unit_get(u, section, key), &yes) >= 0 && yes;
}

/* What the launcher asks is asked over the bus. */
static bool comes_before_bus(const struct unit *u)
{
        static const char *const names[] = { "dbus.service", "dbus-broker.service", "mergememd.service",
                                             "mergemem-module.service" };
        bool defaults = true;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(u->name, names[i]))
                        return true;
        (void) parse_boolean(unit_get(u, "Unit", "DefaultDependencies"), &defaults);
        return !defaults;
}

/* Whether a list, whose first line decides if it permits or forbids (@inverted), has a word. An
 * assignment of nothing empties it. */
struct filter {
        bool any, inverted, has;
};

static void filter_add(struct filter *f, const char *value, const char *wanted)
{
        bool inverted = value[0] == '~';

        value += inverted;
        if (!*value) {
                *f = (struct filter) {};
                return;
        }
        if (!f->any)
                *f = (struct filter) { .any = true, .inverted = inverted };
        for (size_t n; *(value += strspn(value, BLANKS)); value += n) {
                n = strcspn(value, BLANKS);
                if (n == strlen(wanted) && strncmp(value, wanted, n) == 0)
                        f->has = inverted == f->inverted;
        }
}

static struct filter filter_of(const struct unit *u, const char *key, const char *wanted)
{
        const struct conf_setting *s = NULL;
        struct filter f = {};

        while ((s = settings_next(&u->settings, "Service", key, s)))
                filter_add(&f, s->value, wanted);
        return f;
}

static int check_settings(const struct unit *u)
{
        struct filter families = filter_of(u, "RestrictAddressFamilies", "AF_UNIX");

        if (comes_before_bus(u))
                return refuse(u, "it starts before mergememd can be asked for one");
        if (is_yes(u, "Service", "LockPersonality"))
                return refuse(u, "LockPersonality=yes forbids what mergemem-run does; LockPersonality=no in "
                                 "a drop-in of your own permits it");
        if (*unit_get(u, "Service", "RootDirectory") || *unit_get(u, "Service", "RootImage"))
                return refuse(u, "it has a root directory of its own (RootDirectory=, RootImage=), where "
                                 "there is no mergemem-run");
        if (families.any && families.has == families.inverted)
                return refuse(u, "RestrictAddressFamilies= keeps mergemem-run from the bus; "
                                 "RestrictAddressFamilies=AF_UNIX in a drop-in of your own permits that");
        return 0;
}

/* What is set later than by us is not ours to repeat. */
static int check_order(const struct unit *u)
{
        static const char *const keys[] = { "ExecStart", "SystemCallFilter" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const struct conf_setting *s = NULL;

                while ((s = settings_next(&u->settings, "Service", keys[i], s)))
                        if (unit_setting_is_after(u, s, LAYOUT_DROP_IN))
                                return log_error_errno(
                                        -EOPNOTSUPP,
                                        "%s cannot have a layout: %s, line %u, has %s=, and is read after "
                                        LAYOUT_DROP_IN " would be; give that file an earlier name.",
                                        u->name, s->origin.file, s->origin.line, keys[i]);
        }
        return 0;
}

/* As it is written in a command line: backslashes are escapes there. */
static void print_name(FILE *f, const char *name)
{
        for (; *name; name++)
                fputs(*name == '\\' ? "\\\\" : (char[]){ *name, '\0' }, f);
}

static char *launcher_of(const struct unit *u, const struct layout_drop_in_options *o)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        fputs(o->launcher, f);
        /* All instances are one group, as far as they are of one user. */
        if (unit_name_is_template(u->name)) {
                fputs(" --group=", f);
                print_name(f, u->name);
        }
        fprintf(f, "%s%s%s --", o->stable_hash ? " --stable-hash" : "", o->ksm ? " --ksm" : "",
                o->fallback ? " --fallback" : "");
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static int print_commands(FILE *f, const struct unit *u, const char *launcher)
{
        const struct conf_setting *s = NULL, *first = NULL;

        /* From the last on that takes back those before. */
        while ((s = settings_next(&u->settings, "Service", "ExecStart", s)))
                first = *s->value ? first ?: s : NULL;
        if (!first)
                return refuse(u, "it has no ExecStart=");
        fputs("ExecStart=\n", f);
        for (s = first; s; s = settings_next(&u->settings, "Service", "ExecStart", s)) {
                _cleanup_(freep) char *line = NULL;
                char reason[EXEC_REASON_MAX];
                int r;

                r = exec_line_launch(s->value, launcher, &line, reason);
                if (r == -EOPNOTSUPP)
                        return log_error_errno(r, "%s cannot have a layout: %s, line %u, ExecStart=: %s.",
                                               u->name, s->origin.file, s->origin.line, reason);
                if (r < 0)
                        return log_oom();
                fprintf(f, "ExecStart=%s\n", line);
        }
        return 0;
}

static void print_notes(FILE *f, const struct unit *u, bool filtered)
{
        const char *stack = unit_get(u, "Service", "LimitSTACK"), *colon = strchr(stack, ':');
        const char *hard = colon ? colon + 1 : stack;

        if (filtered)
                fputs("SystemCallFilter= is there: what is set besides permits the unit " SYSTEM_CALLS
                      ", which mergemem-run needs.\n", f);
        if (*hard && !streq(hard, "infinity"))
                fprintf(f, "LimitSTACK=%s is a hard limit, beyond which mergemem-run has to go: unless the "
                           "unit has CAP_SYS_RESOURCE it does not start.\n", stack);
}

static int print_drop_in(FILE *f, const struct unit *u, const char *launcher, bool filtered)
{
        int r;

        fprintf(f, "# Written by \"mergememctl enable-layout %s\"; \"mergememctl disable-layout\" "
                   "removes it.\n"
                   "# The unit is started by mergemem-run(1): the price of that stands at the top of its "
                   "page.\n"
                   "[Unit]\n"
                   "Wants=mergememd.service\n"
                   "After=mergememd.service\n"
                   "\n"
                   "[Service]\n", u->name);
        r = print_commands(f, u, launcher);
        if (r >= 0 && filtered)
                fputs("SystemCallFilter=" SYSTEM_CALLS "\n", f);
        return r;
}

int layout_drop_in(const struct unit *u, const struct layout_drop_in_options *o, char **ret,
                   char **ret_notes)
{
        _cleanup_(freep) char *launcher = launcher_of(u, o), *text = NULL, *notes = NULL;
        bool filtered = filter_of(u, "SystemCallFilter", "ptrace").any;
        size_t size, notes_size;
        FILE *f, *n;
        int r;

        if (!launcher)
                return log_oom();
        r = check_settings(u);
        if (r >= 0)
                r = check_order(u);
        if (r < 0)
                return r;
        f = open_memstream(&text, &size);
        n = open_memstream(&notes, &notes_size);
        if (f && n) {
                r = print_drop_in(f, u, launcher, filtered);
                print_notes(n, u, filtered);
        } else
                r = log_oom();
        if (f && fclose(f) != 0 && r >= 0)
                r = log_oom();
        if (n && fclose(n) != 0 && r >= 0)
                r = log_oom();
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        *ret_notes = TAKE_PTR(notes);
        return 0;
}
