/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/node-options.h"

#include "shared/macro.h"

/* Whose value is the next word, unless it follows a "=". A script is what is no option and no value. */
static const char *const with_value[] = {
        "-C", "-e", "-p", "-pe", "-r", "--conditions", "--diagnostic-dir", "--env-file", "--eval",
        "--experimental-loader", "--icu-data-dir", "--import", "--input-type", "--loader",
        "--openssl-config", "--print", "--require", "--title",
};

static const char *const limits[] = { "--permission", "--experimental-permission", "--experimental-policy" };

static const char *const modules[] = { "-r", "--require" };

bool node_is_name(const char *name)
{
        if (strncmp(name, "node", 4) != 0)
                return false;
        name += 4;
        if (strncmp(name, "js", 2) == 0)
                name += 2;
        if (*name == '\0')
                return true;
        if (*name == '-')
                name++;
        return *name >= '0' && *name <= '9' && name[strspn(name, "0123456789.")] == '\0';
}

/* Node.js takes "_" for "-". */
static bool is_option(const char *word, const char *name)
{
        while (*name && (*word == *name || (*word == '_' && *name == '-'))) {
                word++;
                name++;
        }
        return *name == '\0' && (*word == '\0' || *word == '=');
}

static const char *find_option(const char *word, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (is_option(word, names[i]))
                        return names[i];
        return NULL;
}

/* @next: the word behind it, or NULL. */
static void note(const char *word, const char *next, const char *file, struct node_options *o)
{
        const char *limit = find_option(word, limits, ELEMENTSOF(limits));
        const char *value = strchr(word, '=');

        if (limit)
                o->limit = limit;
        if (is_option(word, "--random-seed"))
                o->seed = true;
        if (find_option(word, modules, ELEMENTSOF(modules))) {
                value = value ? value + 1 : next;
                o->modules = true;
                o->ours = o->ours || (value && streq(value, file));
        }
}

void node_options_of_arguments(char *const *argv, const char *file, struct node_options *o)
{
        for (char *const *at = argv + 1; *at && **at == '-' && !streq(*at, "-") && !streq(*at, "--"); at++) {
                note(*at, at[1], file, o);
                if (at[1] && !strchr(*at, '=') && find_option(*at, with_value, ELEMENTSOF(with_value)))
                        at++;
        }
}

/* Takes the next word from *@at, which is written to; NULL: there is none. */
static char *next_word(char **at)
{
        char *in = *at + strspn(*at, " "), *word = in, *out = in;
        bool quoted = false;

        if (*in == '\0')
                return NULL;
        for (; *in && (quoted || *in != ' '); in++) {
                if (*in == '"') {
                        quoted = !quoted;
                        continue;
                }
                if (*in == '\\' && quoted && in[1])
                        in++;
                *out++ = *in;
        }
        *at = *in ? in + 1 : in;
        *out = '\0';
        return word;
}

int node_options_of_text(const char *text, const char *file, struct node_options *o)
{
        _cleanup_(freep) char *copy = strdup(text);
        char *at = copy, *word, *next;

        if (!copy)
                return -ENOMEM;
        for (word = next_word(&at); word; word = next) {
                next = next_word(&at);
                note(word, next, file, o);
        }
        return 0;
}

char *node_options_prepend(const char *text, const char *file)
{
        static const char start[] = "\"--require=";
        bool quote = strpbrk(file, " \"\\") != NULL;
        char *all = malloc(sizeof(start) + 2 * strlen(file) + strlen("\" ") + strlen(text)), *out = all;

        if (!all)
                return NULL;
        out += sprintf(out, "%s", start + !quote);
        for (; *file; file++) {
                if (quote && (*file == '"' || *file == '\\'))
                        *out++ = '\\';
                *out++ = *file;
        }
        sprintf(out, "%s%s%s", quote ? "\"" : "", *text ? " " : "", text);
        return all;
}
