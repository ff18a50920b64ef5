# SPDX-License-Identifier: LGPL-2.1-or-later
"""A memory cgroup of our own, with one below it for each worker: of version 2 or 1, whichever there is."""

import os
import time


def memory_root():
    """Where the memory controller can be used: (directory, file that holds the usage), or None."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, directory, kind, options = line.split()[:4]
            if kind == "cgroup" and "memory" in options.split(","):
                return directory, "memory.usage_in_bytes"
            if kind == "cgroup2":
                with open(f"{directory}/cgroup.subtree_control") as file:
                    if "memory" in file.read().split():
                        return directory, "memory.current"
    return None


class Cgroup:
    """@what: why there is none, if directory is None. Otherwise the name of the file with the figure."""

    def __init__(self):
        self.directory = None
        found = memory_root()
        if not found:
            self.what = "no memory controller of cgroups can be used here"
            return
        root, self.what = found
        directory = f"{root}/mergemem-fleet-{os.getpid()}"
        try:
            os.mkdir(directory)
        except OSError as error:
            self.what = f"{directory} cannot be made: {error.strerror}"
            return
        self.directory = directory
        if self.what == "memory.current":
            self._write("cgroup.subtree_control", "+memory")

    def _write(self, name, text):
        with open(f"{self.directory}/{name}", "w") as file:
            file.write(text)

    def enter(self, name):
        """Puts this process into the cgroup @name below, which is made."""
        if self.directory:
            os.makedirs(f"{self.directory}/{name}", exist_ok=True)
            self._write(f"{name}/cgroup.procs", "0")

    def usage(self):
        """Bytes of memory of all workers, as the kernel accounts it; None if there is no cgroup."""
        if not self.directory:
            return None
        with open(f"{self.directory}/{self.what}") as file:
            return int(file.read())

    def clear(self):
        """Removes those of the workers, which have ended."""
        if self.directory:
            for name in os.listdir(self.directory):
                if os.path.isdir(f"{self.directory}/{name}"):
                    self._remove(f"{self.directory}/{name}")

    def remove(self):
        self.clear()
        if self.directory:
            self._remove(self.directory)
            self.directory = None

    @staticmethod
    def _remove(directory):
        # A process that was waited for may not have left yet.
        for _ in range(100):
            try:
                os.rmdir(directory)
                return
            except OSError:
                time.sleep(0.1)
        os.rmdir(directory)
