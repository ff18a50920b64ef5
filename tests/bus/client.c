/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include <glib.h>

#include "shared/macro.h"
#include "shared/names.h"
#include "spawn.h"

static int append_string(sd_bus_message *m, const char *key, const char *value)
{
        return value ? sd_bus_message_append(m, "{sv}", key, "as", 1, value) : 0;
}

static int append_pids(sd_bus_message *m, const pid_t *pids, size_t n)
{
        int r;

        if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
            (r = sd_bus_message_append(m, "s", "pid")) < 0 ||
            (r = sd_bus_message_open_container(m, 'v', "au")) < 0 ||
            (r = sd_bus_message_append_array(m, 'u', pids, n * sizeof(uint32_t))) < 0 ||
            (r = sd_bus_message_close_container(m)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

int what_append(sd_bus_message *m, const struct what *what)
{
        int r;

        if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0)
                return r;
        if (what->n_pids > 0 && (r = append_pids(m, what->pids, what->n_pids)) < 0)
                return r;
        if ((r = append_string(m, "comm", what->comm)) < 0 || (r = append_string(m, "exe", what->exe)) < 0 ||
            (r = append_string(m, "cgroup", what->cgroup)) < 0 ||
            (r = append_string(m, "unit", what->unit)) < 0 ||
            (r = append_string(m, "user", what->user)) < 0 ||
            (r = append_string(m, "shlib", what->shlib)) < 0)
                return r;
        if (what->trust && (r = sd_bus_message_append(m, "{sv}", "trust", "s", what->trust)) < 0)
                return r;
        if (what->mechanism && (r = sd_bus_message_append(m, "{sv}", "mechanism", "s", what->mechanism)) < 0)
                return r;
        if (what->all && (r = sd_bus_message_append(m, "{sv}", "all", "b", 1)) < 0)
                return r;
        if (what->others && (r = sd_bus_message_append(m, "{sv}", "others", "b", 1)) < 0)
                return r;
        if (what->force && (r = sd_bus_message_append(m, "{sv}", "force", "b", 1)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

char *job_try(sd_bus *bus, const char *method, const struct what *what, char **ret_error)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *reply = NULL;
        char *job = NULL;
        const char *path;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, method), >=, 0);
        g_assert_cmpint(what_append(m, what), >=, 0);
        if (sd_bus_call(bus, m, 0, &error, &reply) < 0) {
                *ret_error = g_strdup(error.name);
        } else {
                g_assert_cmpint(sd_bus_message_read(reply, "o", &path), >, 0);
                job = g_strdup(path);
        }
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return job;
}

/* The reply to a list's method. */
static sd_bus_message *list(sd_bus *bus, const char *method, const struct what *what)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *reply = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, method), >=, 0);
        if (what)
                g_assert_cmpint(what_append(m, what), >=, 0);
        if (sd_bus_call(bus, m, 0, &error, &reply) < 0)
                g_error("%s: %s", method, error.message);
        sd_bus_message_unref(m);
        return reply;
}

static size_t count_rows(sd_bus_message *reply, const char *type)
{
        size_t n = 0;

        g_assert_cmpint(sd_bus_message_enter_container(reply, 'a', type), >, 0);
        for (; sd_bus_message_skip(reply, type) > 0; n++)
                ;
        sd_bus_message_unref(reply);
        return n;
}

size_t count_processes(sd_bus *bus, const struct what *what)
{
        return count_rows(list(bus, "ListProcesses", what), "(usustta{sv})");
}

size_t count_jobs(sd_bus *bus)
{
        return count_rows(list(bus, "ListJobs", NULL), "(uossda{sv})");
}

size_t count_library_users(sd_bus *bus, const char *name)
{
        sd_bus_message *reply = list(bus, "ListLibraries", &(struct what){ 0 });
        const char *found;
        uint32_t n = 0, users;

        g_assert_cmpint(sd_bus_message_enter_container(reply, 'a', "(sttuta{sv})"), >, 0);
        while (sd_bus_message_enter_container(reply, 'r', "sttuta{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(reply, "sttut", &found, NULL, NULL, &users, NULL), >, 0);
                if (g_str_has_suffix(found, name))
                        n += users;
                g_assert_cmpint(sd_bus_message_skip(reply, "a{sv}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(reply), >, 0);
        }
        sd_bus_message_unref(reply);
        return n;
}

char *job_start(sd_bus *bus, const char *method, const struct what *what)
{
        char *error = NULL, *job = job_try(bus, method, what, &error);

        if (!job)
                g_error("%s: %s", method, error);
        return job;
}

char *job_string(sd_bus *bus, const char *job, const char *property)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *value = NULL, *copy;

        if (sd_bus_get_property_string(bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, property, &error,
                                       &value) < 0)
                g_error("%s of %s: %s", property, job, error.message);
        copy = g_strdup(value);
        free(value);
        return copy;
}

double job_progress(sd_bus *bus, const char *job)
{
        double value = -1;

        g_assert_cmpint(sd_bus_get_property_trivial(bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE,
                                                    "Progress", NULL, 'd', &value), >=, 0);
        return value;
}

const char *job_wait(sd_bus *bus, const char *job)
{
        static const char *const ends[] = { "done", "failed", "cancelled" };

        for (uint64_t end = now_usec() + 120000000;;) {
                char *state = job_string(bus, job, "State");

                for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                        if (streq(state, ends[i])) {
                                g_free(state);
                                return ends[i];
                        }
                if (now_usec() > end)
                        g_error("%s is still %s", job, state);
                g_free(state);
                sleep_msec(5);
        }
}

static char *job_error(sd_bus *bus, const char *job)
{
        sd_bus_message *reply = NULL;
        const char *name, *message;
        char *copy;

        g_assert_cmpint(sd_bus_get_property(bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Error",
                                            NULL, &reply, "(ss)"),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_read(reply, "(ss)", &name, &message), >, 0);
        g_test_message("%s: %s: %s", job, name, message);
        copy = g_strdup(name);
        sd_bus_message_unref(reply);
        return copy;
}

char *job_run(sd_bus *bus, const char *method, const struct what *what)
{
        char *job = job_start(bus, method, what);

        if (!streq(job_wait(bus, job), "done"))
                g_error("%s: %s", method, job_error(bus, job));
        return job;
}

char *job_refused(sd_bus *bus, const char *method, const struct what *what)
{
        char *error = NULL, *job = job_try(bus, method, what, &error);

        if (job) {
                g_assert_cmpstr(job_wait(bus, job), ==, "failed");
                error = job_error(bus, job);
                g_free(job);
        }
        return error;
}

void job_undo(sd_bus *bus, const struct what *what)
{
        char *error = NULL, *job = job_try(bus, "Unmerge", what, &error);

        if (job)
                g_assert_cmpstr(job_wait(bus, job), ==, "done");
        else
                g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOTHING_MATCHES);
        g_free(error);
        g_free(job);
}

/* Puts @m into the variant of @name in its dictionary; 1 if it is there. */
static int dict_enter(sd_bus_message *m, const char *name, const char **ret_type)
{
        int r;

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key, *type;

                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                if (streq(key, name)) {
                        g_assert_cmpint(sd_bus_message_peek_type(m, NULL, &type), >, 0);
                        g_assert_cmpint(sd_bus_message_enter_container(m, 'v', type), >, 0);
                        *ret_type = type;
                        return 1;
                }
                g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(r, ==, 0);
        return 0;
}

/* Puts *@ret into the variant of @name in the job's Result; 1 if it is there. */
static int result_enter(sd_bus *bus, const char *job, const char *name, sd_bus_message **ret,
                        const char **ret_type)
{
        sd_bus_message *m = NULL;

        g_assert_cmpint(sd_bus_get_property(bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Result",
                                            NULL, &m, "a{sv}"),
                        >=, 0);
        if (dict_enter(m, name, ret_type)) {
                *ret = m;
                return 1;
        }
        sd_bus_message_unref(m);
        return 0;
}

bool job_has(sd_bus *bus, const char *job, const char *name)
{
        sd_bus_message *m = NULL;
        const char *type;

        if (!result_enter(bus, job, name, &m, &type))
                return false;
        sd_bus_message_unref(m);
        return true;
}

uint64_t job_figure(sd_bus *bus, const char *job, const char *name)
{
        sd_bus_message *m = NULL;
        const char *type;
        uint64_t value = 0;
        uint32_t small;

        if (!result_enter(bus, job, name, &m, &type))
                g_error("%s has no result \"%s\"", job, name);
        if (streq(type, "u")) {
                g_assert_cmpint(sd_bus_message_read(m, "u", &small), >, 0);
                value = small;
        } else {
                g_assert_cmpstr(type, ==, "t");
                g_assert_cmpint(sd_bus_message_read(m, "t", &value), >, 0);
        }
        sd_bus_message_unref(m);
        return value;
}

uint64_t job_reason(sd_bus *bus, const char *job, const char *list, const char *reason)
{
        sd_bus_message *m = NULL;
        const char *type, *found;
        uint64_t sum = 0;

        if (!result_enter(bus, job, list, &m, &type))
                g_error("%s has no result \"%s\"", job, list);
        g_assert_true(streq(type, "a(su)") || streq(type, "a(st)"));
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', type + 1), >, 0);
        while (!sd_bus_message_at_end(m, 0)) {
                uint32_t small = 0;
                uint64_t count = 0;

                if (streq(type, "a(su)")) {
                        g_assert_cmpint(sd_bus_message_read(m, "(su)", &found, &small), >, 0);
                        count = small;
                } else
                        g_assert_cmpint(sd_bus_message_read(m, "(st)", &found, &count), >, 0);
                g_test_message("%s: %s: %s: %" G_GUINT64_FORMAT, job, list, found, count);
                if (!reason || strstr(found, reason))
                        sum += count;
        }
        sd_bus_message_unref(m);
        return sum;
}

bool job_owner(sd_bus *bus, const char *job, const char *kind, const char *name, struct owner_row *ret)
{
        sd_bus_message *m = NULL;
        const char *type, *row_kind, *row_name;
        struct owner_row row;
        bool found = false;

        g_assert_true(result_enter(bus, job, "owners", &m, &type));
        g_assert_cmpstr(type, ==, "a(sstttt)");
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', type + 1), >, 0);
        while (!found &&
               sd_bus_message_read(m, "(sstttt)", &row_kind, &row_name, &row.pages, &row.duplicate_frames,
                                   &row.zero_frames, &row.private_bytes) > 0)
                found = streq(row_kind, kind) && g_str_has_suffix(row_name, name);
        sd_bus_message_unref(m);
        if (found)
                *ret = row;
        return found;
}

static uint64_t read_figure(sd_bus_message *m, char type)
{
        uint64_t value = 0;
        uint32_t small = 0;

        g_assert_cmpint(sd_bus_message_read_basic(m, type, type == 'u' ? (void *)&small : (void *)&value), >,
                        0);
        return type == 'u' ? small : value;
}

uint64_t manager_figure(sd_bus *bus, const char *name, char type)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        const char *contents;
        uint64_t value;

        if (sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE, "Totals",
                               &error, &m, NULL) < 0)
                g_error("Totals: %s", error.message);
        if (!dict_enter(m, name, &contents))
                g_error("no total \"%s\"", name);
        value = read_figure(m, type);
        sd_bus_message_unref(m);
        return value;
}

uint64_t manager_published(sd_bus *bus, const char *property, char type)
{
        sd_bus_message *m = NULL;
        uint64_t value;

        g_assert_cmpint(sd_bus_get_property(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                            MERGEMEM_MANAGER_INTERFACE, property, NULL, &m,
                                            type == 'u' ? "u" : "t"), >=, 0);
        value = read_figure(m, type);
        sd_bus_message_unref(m);
        return value;
}

char *manager_string(sd_bus *bus, const char *property)
{
        char *value = NULL, *copy;

        g_assert_cmpint(sd_bus_get_property_string(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                   MERGEMEM_MANAGER_INTERFACE, property, NULL, &value),
                        >=, 0);
        copy = g_strdup(value);
        free(value);
        return copy;
}
