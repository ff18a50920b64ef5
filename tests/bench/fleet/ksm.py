# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's KSM: one on the machine, hence the lock that ./check takes too."""

import fcntl
import sys
import time

LOCK = "/run/mergemem-check.lock"
DIRECTORY = "/sys/kernel/mm/ksm/"
# What is written to. In this order it can be put back.
KNOBS = ("pages_to_scan", "sleep_millisecs", "advisor_mode", "run")

# struct ksm_rmap_item, one for each page looked at, and struct ksm_stable_node, one for each shared frame.
ITEM_BYTES = 64

SCANS_MIN = 3   # the first may have begun before
SCANS_MAX = 10
SCAN_SEC = 120
CLEAR_SEC = 5


def read(name):
    try:
        with open(DIRECTORY + name) as file:
            text = file.read().strip()
    except FileNotFoundError:
        return None
    # Of a list of words the one in brackets holds.
    return text[text.index("[") + 1:text.index("]")] if "[" in text else text


def write(name, value):
    with open(DIRECTORY + name, "w") as file:
        file.write(str(value))


def locked(path, why):
    """The open file, which is locked until it is closed. @why: to wait, for people."""
    file = open(path, "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"fleet: {why}: waiting for it", file=sys.stderr)
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


class Ksm:
    """KSM for ourselves. At the end it is as it was."""

    def __enter__(self):
        self._lock = locked(LOCK, "a test runs on this machine, whose KSM is one")
        self._before = {name: read(name) for name in KNOBS}
        if self._before["run"] is None:
            raise RuntimeError("this kernel has no KSM")
        return self

    def __exit__(self, *_):
        try:
            self.clear()
        finally:
            for name, value in self._before.items():
                if value is not None and read(name) != value:
                    write(name, value)
            self._lock.close()

    def clear(self):
        """Has ksmd forget processes that have ended, which it does only as it scans, and stops it."""
        self._flat_out()
        # It does not scan where there is nobody to scan.
        self._scan(1, CLEAR_SEC)
        write("run", 0)
        self._shared = int(read("pages_shared"))

    def _flat_out(self):
        if self._before["advisor_mode"] is not None:
            write("advisor_mode", "none")
        write("sleep_millisecs", 0)
        write("pages_to_scan", 10000)
        write("run", 1)

    @staticmethod
    def _scan(n, seconds):
        """Whether ksmd has scanned all memory so often within so many seconds."""
        wanted = int(read("full_scans")) + n
        deadline = time.monotonic() + seconds
        while int(read("full_scans")) < wanted:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def merge(self):
        """Has ksmd look at all that is registered until it finds hardly more; how often it did."""
        self._flat_out()
        scans, sharing = 0, 0
        while scans < SCANS_MAX:
            if not self._scan(1, SCAN_SEC):
                raise RuntimeError(f"ksmd has not scanned all memory within {SCAN_SEC} s")
            scans += 1
            last, sharing = sharing, int(read("pages_sharing"))
            if scans > SCANS_MIN and sharing <= last * 1.01:
                break
        write("run", 0)
        return scans

    def metadata(self, pids):
        """Bytes that the kernel keeps in memory for these processes and what they share."""
        items = int(read("pages_shared")) - self._shared
        for pid in pids:
            items += stat(pid)["ksm_rmap_items"]
        return items * ITEM_BYTES


def stat(pid):
    """What /proc/PID/ksm_stat says: numbers, and words as True for yes."""
    figures = {}
    with open(f"/proc/{pid}/ksm_stat") as file:
        for line in file:
            name, value = line.replace(":", " ").split()
            figures[name] = int(value) if value.lstrip("-").isdigit() else value == "yes"
    return figures
