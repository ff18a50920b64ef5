/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "daemon/rule-bus.h"
#include "daemon/rule-file.h"
#include "daemon/rule-text.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"

static int bad_configuration(sd_bus_error *error)
{
        _cleanup_(freep) char *text = bus_text(log_last_error());

        return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_CONFIGURATION, text ?: "Out of memory.");
}

static int reload(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        if (manager_reload(manager) < 0)
                return bad_configuration(error);
        return sd_bus_reply_method_return(m, NULL);
}

int rule_bus_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return auth_check(userdata, m, AUTH_RELOAD, reload, error);
}

/* Puts the configuration in force with the drop-in at @path as @text says, and writes that down; if either
 * fails all is as it was. */
static int change(Manager *m, const char *path, const char *text, sd_bus_error *error)
{
        const struct conf_overlay overlay = { .path = path, .text = text };
        _cleanup_(conf_done) struct conf c = {};
        int r;

        r = manager_load_conf(m, &overlay, &c);
        if (r >= 0)
                r = manager_apply_conf(m, &c);
        if (r < 0)
                return bad_configuration(error);
        r = text ? rule_file_write(path, text) : rule_file_remove(path);
        if (r >= 0)
                return 0;
        (void) log_error_errno(r, "%s: cannot be %s: %m", path, text ? "written" : "removed");
        (void) manager_apply_conf(m, &c);
        return sd_bus_error_setf(error, MERGEMEM_ERROR_FAILED, "%s", log_last_error());
}

/* A rule of that name which is somebody else's work would only be half changed. */
static int check_place(const Manager *m, const char *name, const char *path, sd_bus_error *error)
{
        const struct rule *rule = conf_find_rule(&m->conf, name);

        if (!rule || !rule->origin.file || rule_is_default(rule) || streq(rule->origin.file, path))
                return 0;
        return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_RULE,
                                 "The rule \"%s\" is written in %s, line %u: change it there, or choose "
                                 "another name.",
                                 name, rule->origin.file, rule->origin.line);
}

static int set(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(freep) char *text = NULL, *path = NULL;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = rule_text_read(m, name, &text, error);
        if (r < 0)
                return r;
        path = conf_rule_path(manager->conf_path, name);
        if (!path)
                return -ENOMEM;
        r = check_place(manager, name, path, error);
        if (r >= 0)
                r = change(manager, path, text, error);
        if (r < 0)
                return r;
        log_info("Rule \"%s\" is set, in %s.", name, path);
        return sd_bus_reply_method_return(m, NULL);
}

int rule_bus_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(conf_done) struct conf c = {};
        _cleanup_(freep) char *text = NULL;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = rule_text_read(m, name, &text, error);
        if (r >= 0)
                r = rule_text_parse(text, &c, error);
        return r < 0 ? r : auth_check(userdata, m, AUTH_CONFIGURE, set, error);
}

static int remove_rule(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(freep) char *path = NULL;
        const struct rule *rule;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        path = conf_rule_path(manager->conf_path, name);
        if (!path)
                return -ENOMEM;
        if (access(path, F_OK) < 0) {
                rule = conf_find_rule(&manager->conf, name);
                if (rule && rule->origin.file)
                        return sd_bus_error_setf(
                                error, MERGEMEM_ERROR_NO_SUCH_RULE,
                                "The rule \"%s\" is written in %s, line %u: change it there.", name,
                                rule->origin.file, rule->origin.line);
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_RULE, "There is no rule \"%s\".",
                                         name);
        }
        r = change(manager, path, NULL, error);
        if (r < 0)
                return r;
        log_info("Rule \"%s\" is removed, with %s.", name, path);
        return sd_bus_reply_method_return(m, NULL);
}

int rule_bus_remove(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (!rule_name_is_valid(name))
                return sd_bus_error_set(error, MERGEMEM_ERROR_NO_SUCH_RULE, "No rule can have such a name.");
        return auth_check(userdata, m, AUTH_CONFIGURE, remove_rule, error);
}

static int read_tried(Manager *manager, sd_bus_message *m, struct conf *ret, sd_bus_error *error)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(conf_done) struct conf c = {};
        enum mechanism mechanism;
        int r;

        r = rule_text_read(m, "tried", &text, error);
        if (r >= 0)
                r = rule_text_parse(text, &c, error);
        if (r < 0)
                return r;
        mechanism = c.rules[1].mechanism == MECHANISM_AUTO ? manager->mechanism : c.rules[1].mechanism;
        if (!manager->mechanisms[mechanism].works)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NOT_SUPPORTED,
                                         "Mechanism %s does not work here: %s.",
                                         mechanism_to_string(mechanism),
                                         manager->mechanisms[mechanism].reason);
        *ret = TAKE_GENERIC(c, (struct conf) {});
        return 0;
}

static int try(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(conf_done) struct conf c = {};
        uid_t uid;
        int r;

        r = auth_caller(manager, m, &uid, error);
        if (r >= 0)
                r = read_tried(manager, m, &c, error);
        if (r < 0)
                return r;
        r = job_new_tried(manager, &c, uid, m, error);
        if (r == -ENOBUFS)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "%u jobs are waiting already.",
                                         JOBS_MAX);
        return r < 0 ? r : 1;
}

int rule_bus_try(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(conf_done) struct conf c = {};
        int r;

        r = read_tried(userdata, m, &c, error);
        return r < 0 ? r : auth_check(userdata, m, AUTH_INSPECT, try, error);
}
