# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables for people, at most 80 columns wide."""

MIB = 1 << 20

# What the project promises of workers with a layout, merged by the service.
PROMISED_PERCENT = {"python3": 60}
PROMISED_POINTS = 20


def percent(part, whole):
    return 100 * part / whole if part is not None and whole else None


def mib(figure):
    return "-" if figure is None else f"{figure / MIB:.1f}"


def share(figure):
    return "-" if figure is None else f"{figure:.1f}"


def one_fleet(result):
    """Of one runtime and number of workers, all ways of starting and merging them."""
    print(f"\n{result['workers']} workers, {result['title']} ({result['version']})")
    print(f"{'':23}{'PRIVATE':>8}{'DUPLICATES':>15}{'SAVED, NET':>15}{'LATER':>7}{'CGROUP':>10}")
    print(f"{'':23}{'MiB':>8}{'MiB':>8}{'%':>7}{'MiB':>8}{'%':>7}{'%':>7}{'MiB':>10}")
    for mode in result["modes"]:
        private = mode["private_bytes"]
        duplicates, saved, cgroup = mode["duplicate_bytes"], mode["saved_bytes"], mode["cgroup_saved_bytes"]
        print(f"{mode['label']:23}{mib(private):>8}{mib(duplicates):>8}{share(percent(duplicates, private)):>7}"
              f"{mib(saved):>8}{share(percent(saved, private)):>7}"
              f"{share(percent(mode['saved_later_bytes'], private)):>7}{mib(cgroup):>10}")
        if "service_private_bytes" in mode:
            print(f"  mergememd itself takes {mib(mode['service_private_bytes'])} MiB")
    for line in promises(result):
        print(line)


def promises(result):
    saved = {mode["name"]: percent(mode["saved_bytes"], mode["private_bytes"]) for mode in result["modes"]}
    here, alone = saved.get("service"), saved.get("ksm")
    if here is None or alone is None:
        return
    wanted = PROMISED_PERCENT.get(result["runtime"])
    if wanted:
        yield f"  saved {here:.1f} %; promised: at least {wanted} %"
    yield f"  {here - alone:.1f} points more than KSM alone; promised: at least {PROMISED_POINTS}"


def explain(n_asked, n_later, cgroup):
    print(f"""
PRIVATE     page frames of private memory, each counted once, before merging
DUPLICATES  frames that merging would free, by mergememctl estimate
SAVED, NET  frames that are free after merging, counted anew, minus what the
            kernel keeps in memory to share
LATER       the same when each worker has answered another {n_later} requests after
            its first {n_asked}, and nothing was merged again
CGROUP      by how much {cgroup} fell""")


def estimates(results):
    """Of many runtimes, what could be merged."""
    print(f"{'':28}{'':10}{'DUPLICATES, % OF PRIVATE MEMORY':>42}")
    print(f"{'':28}{'MiB':>10}{'as started':>13}{'one layout':>13}{'stable hash':>16}")
    for result in results:
        modes = {mode["name"]: mode for mode in result["modes"]}
        shares = [percent(modes[name]["duplicate_bytes"], modes[name]["private_bytes"])
                  for name in ("normal", "layout", "stable")]
        print(f"{result['title']:28}{mib(modes['normal']['private_bytes']):>10}"
              f"{share(shares[0]):>13}{share(shares[1]):>13}{share(shares[2]):>16}")
