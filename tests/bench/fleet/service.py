# SPDX-License-Identifier: LGPL-2.1-or-later
"""mergememd on a bus of its own."""

import json
import os
import subprocess
import time

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy user="root">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class Service:
    """@build: the build directory; @directory: for its files. @mechanism: observe, or what merges."""

    def __init__(self, build, directory, mechanism):
        self._ctl = f"{build}/src/ctl/mergememctl"
        self._daemon = f"{build}/src/daemon/mergememd"
        self._directory = directory
        self._mechanism = mechanism
        self._address = f"unix:path={directory}/bus"
        self._processes = []

    def __enter__(self):
        os.makedirs(f"{self._directory}/run", mode=0o700, exist_ok=True)
        self._write("bus.conf", BUS.format(path=f"{self._directory}/bus"))
        self._write("mergememd.conf", "[Daemon]\nAutomatic=no\n")
        try:
            self._start("bus", ["dbus-daemon", "--nofork", "--nosyslog",
                                f"--config-file={self._directory}/bus.conf"])
            self._wait_for(lambda: os.path.exists(f"{self._directory}/bus"))
            self._start("mergememd", [self._daemon, f"--mechanism={self._mechanism}",
                                      f"--bus={self._address}", f"--config={self._directory}/mergememd.conf"])
            self._wait_for(lambda: self._run("stats").returncode == 0)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The daemon first, which puts KSM back.
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if os.path.exists(f"{self._directory}/bus"):
            os.unlink(f"{self._directory}/bus")

    def _write(self, name, text):
        with open(f"{self._directory}/{name}", "w") as file:
            file.write(text)

    def _log(self, name):
        with open(f"{self._directory}/{name}.log") as file:
            return file.read()[-2000:]

    def _start(self, name, command):
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": self._address,
                                    "RUNTIME_DIRECTORY": f"{self._directory}/run",
                                    "STATE_DIRECTORY": f"{self._directory}/run"}
        with open(f"{self._directory}/{name}.log", "w") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], env=environment,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._processes.append(process)

    def _wait_for(self, condition):
        for _ in range(200):
            if condition():
                return
            if self._processes[-1].poll() is not None:
                break
            time.sleep(0.1)
        name = "bus" if len(self._processes) == 1 else "mergememd"
        raise RuntimeError(f"{name} did not start: {self._log(name)}")

    def _run(self, *arguments):
        return subprocess.run([self._ctl, f"--bus={self._address}", *arguments], text=True,
                              capture_output=True)

    def ask(self, *arguments):
        """What a verb of mergememctl answers."""
        done = self._run("--json=short", *arguments)
        if done.returncode != 0:
            raise RuntimeError(f"mergememctl {arguments[0]}: {done.stderr.strip()}\n{self._log('mergememd')}")
        return json.loads(done.stdout)

    def private_bytes(self):
        """Of the service itself, its worker included."""
        daemon, total = self._processes[-1].pid, 0
        with open(f"/proc/{daemon}/task/{daemon}/children") as file:
            pids = [daemon, *map(int, file.read().split())]
        for pid in pids:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private"))
        return total
