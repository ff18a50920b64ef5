/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>

#include "daemon/power.h"
#include "daemon/pressure.h"
#include "shared/macro.h"
#include "test-util.h"

/* What the machine says of itself, in captured trees. */

static void test_parse(void)
{
        static const struct {
                const char *text;
                int r;
                uint32_t some;
        } cases[] = {
                { "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 "
                  "avg300=0.00 total=0\n", 0, 0 },
                { "some avg10=12.34 avg60=5.67 avg300=1.29 total=9681937260\n", 0, 1234 },
                { "some avg10=0.05 avg60=", 0, 5 },
                { "some avg10=100.00 avg60=0.00", 0, 10000 },
                { "some avg10=101.00 avg60=0.00", -EINVAL, 77 },
                { "some avg10=1.2 avg60=0.00", -EINVAL, 77 },
                { "some avg10=1.234 avg60=0.00", -EINVAL, 77 },
                { "some avg10=1.23", -EINVAL, 77 },
                { "some avg10=", -EINVAL, 77 },
                { "some avg10=-1.00 ", -EINVAL, 77 },
                { "some avg10=99999999999999999999.00 ", -EINVAL, 77 },
                { "full avg10=1.23 avg60=", -EINVAL, 77 },
                { "", -EINVAL, 77 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint32_t some = 77;

                g_test_message("%s", cases[i].text);
                g_assert_cmpint(pressure_parse(cases[i].text, strlen(cases[i].text), &some), ==, cases[i].r);
                g_assert_cmpuint(some, ==, cases[i].some);
        }
}

static void test_read(void)
{
        char *tree = tree_new();
        int fd = tree_open(tree);

        /* A kernel without it. */
        g_assert_cmpuint(pressure_read(fd, "cpu"), ==, 0);
        g_assert_cmpint(pressure_open_trigger(fd), ==, -ENOENT);
        tree_write(tree, "pressure/cpu", "some avg10=45.60 avg60=0.38 avg300=1.29 total=9681937260\n");
        tree_write(tree, "pressure/memory", "nonsense\n");
        g_assert_cmpuint(pressure_read(fd, "cpu"), ==, 4560);
        g_assert_cmpuint(pressure_read(fd, "memory"), ==, 0);
        safe_close(fd);
        tree_free(tree);
}

/* The kernel takes what is written to it, or has no such thing. */
static void test_trigger(void)
{
        int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
        struct pollfd p;

        g_assert_cmpint(proc_fd, >=, 0);
        fd = pressure_open_trigger(proc_fd);
        if (faccessat(proc_fd, "pressure/memory", W_OK, 0) == 0) {
                g_assert_cmpint(fd, >=, 0);
                p = (struct pollfd) { .fd = fd, .events = POLLPRI };
                g_assert_cmpint(poll(&p, 1, 0), >=, 0);
                g_assert_cmpint(p.revents & (POLLERR | POLLNVAL), ==, 0);
        } else
                g_assert_cmpint(fd, <, 0);
        safe_close(fd);
        safe_close(proc_fd);
}

static void supply(const char *tree, const char *name, const char *attribute, const char *value)
{
        g_autofree char *path = g_strdup_printf("class/power_supply/%s/%s", name, attribute);

        tree_write(tree, path, value);
}

static void test_power(void)
{
        static const struct {
                const char *what;
                const char *mains, *battery, *profile; /* online, status, chosen; NULL: none */
                bool saved;
        } cases[] = {
                { "nothing is known", NULL, NULL, NULL, false },
                { "a desktop", "1\n", NULL, NULL, false },
                { "a laptop on mains", "1\n", "Charging\n", NULL, false },
                { "a laptop that charges no more", "1\n", "Not charging\n", NULL, false },
                { "a laptop whose adapter is too weak", "1\n", "Discharging\n", NULL, false },
                { "a laptop on battery", "0\n", "Discharging\n", NULL, true },
                { "a battery and no adapter", NULL, "Discharging\n", NULL, true },
                { "a full battery that nothing draws from", "0\n", "Full\n", NULL, false },
                { "low power on mains", "1\n", "Charging\n", "low-power\n", true },
                { "balanced", "1\n", "Charging\n", "balanced\n", false },
                { "performance on battery", "0\n", "Discharging\n", "performance\n", true },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                char *tree = tree_new();
                int fd = tree_open(tree);

                g_test_message("%s", cases[i].what);
                if (cases[i].mains) {
                        supply(tree, "AC", "type", "Mains\n");
                        supply(tree, "AC", "online", cases[i].mains);
                }
                if (cases[i].battery) {
                        supply(tree, "BAT0", "type", "Battery\n");
                        supply(tree, "BAT0", "status", cases[i].battery);
                        supply(tree, "BAT0", "scope", "System\n");
                        /* A mouse is not what the machine runs on. */
                        supply(tree, "hidpp_battery_0", "type", "Battery\n");
                        supply(tree, "hidpp_battery_0", "scope", "Device\n");
                        supply(tree, "hidpp_battery_0", "online", "1\n");
                        supply(tree, "hidpp_battery_0", "status", "Discharging\n");
                }
                if (cases[i].profile)
                        tree_write(tree, "firmware/acpi/platform_profile", cases[i].profile);
                g_assert_true(power_is_saved(fd) == cases[i].saved);
                safe_close(fd);
                tree_free(tree);
        }
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/pressure/parse", test_parse);
        g_test_add_func("/pressure/read", test_read);
        g_test_add_func("/pressure/trigger", test_trigger);
        g_test_add_func("/pressure/power", test_power);
        return g_test_run();
}
