# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers of one program: each started afresh, all as one user that nobody else is, each in its cgroup."""

import contextlib
import ctypes
import http.client
import os
import random
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
PR_SET_MEMORY_MERGE = 67
PR_GET_MEMORY_MERGE = 68

START_SEC = 120
SETTLE_SEC = 20
STOP_SEC = 20

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    if libc.prctl(option, value, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}): {os.strerror(ctypes.get_errno())}")


def can_register():
    """Whether the kernel lets KSM have all memory of a process."""
    return libc.prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) >= 0


def pids_of(uid):
    """Processes that are not zombies."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                with open(f"/proc/{name}/status") as file:
                    status = dict(line.split(None, 1) for line in file if line.startswith(("State:", "Uid:")))
                if str(uid) in status["Uid:"].split() and not status["State:"].startswith("Z"):
                    found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def unused_uid():
    """That no user and no process has: whatever it owns was started here."""
    with open("/etc/passwd") as file:
        taken = {int(line.split(":")[2]) for line in file}
    uid = 61312
    while uid in taken or pids_of(uid):
        uid += 1
    return uid


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Workers:
    """@launcher: what the command is prefixed with. @merge_any: all their memory is registered with KSM.
    @recount: the program that counts frames."""

    def __init__(self, runtime, n, uid, directory, cgroup, recount, launcher=(), merge_any=False):
        self._runtime = runtime
        self._n = n
        self._uid = uid
        self._directory = directory
        self._cgroup = cgroup
        self._recount = recount
        self._launcher = launcher
        self._merge_any = merge_any
        self._processes = []
        self._connections = []
        # The same for every way of starting them.
        self._randoms = [random.Random(number) for number in range(n)]

    def __enter__(self):
        try:
            ports = [free_port() for _ in range(self._n)]
            for number, port in enumerate(ports):
                command = self._runtime.command(self._directory, port, number)
                if command:
                    self._start(command, number)
            for number, port in enumerate(ports):
                self._connections.append(self._connect(port, number))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self._connections:
            self._runtime.close(self._connections.pop())
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SEC
        # Of a master and its children the master goes last.
        while any([process.poll() is None for process in self._processes]) or pids_of(self._uid):
            if time.monotonic() > deadline:
                for pid in pids_of(self._uid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self._processes.clear()
        self._cgroup.clear()

    def _start(self, command, number):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent",
                       "XDG_RUNTIME_DIR": f"{self._directory}/runtime",
                       # The layout's secret does not come from a service that is not ours.
                       "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._directory}/runtime/no-bus"}

        def become_worker():
            self._cgroup.enter(f"worker-{number}")
            os.setgroups([])
            os.setresgid(self._uid, self._uid, self._uid)
            if self._merge_any:
                prctl(PR_SET_MEMORY_MERGE, 1)
            os.setresuid(self._uid, self._uid, self._uid)
            # A change of user takes this away.
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(f"{self._directory}/worker-{number}.log", "w") as log:
            self._processes.append(subprocess.Popen([*self._launcher, *command], env=environment,
                                                    cwd=self._directory, preexec_fn=become_worker,
                                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    start_new_session=True))

    def _connect(self, port, number):
        deadline = time.monotonic() + START_SEC
        while True:
            connection = self._runtime.connect(self._directory, port, number)
            if connection:
                return connection
            process = self._processes[min(number, len(self._processes) - 1)]
            if process.poll() is not None or time.monotonic() > deadline:
                command = " ".join(process.args)
                raise RuntimeError(f"worker {number} does not listen: {command}\n{self._log(number)}")
            time.sleep(0.1)

    def ask(self, n):
        for number, (connection, source) in enumerate(zip(self._connections, self._randoms)):
            try:
                self._runtime.ask(connection, n, source)
            except (OSError, http.client.HTTPException) as error:
                raise RuntimeError(f"worker {number} did not answer: {error}\n{self._log(number)}") from error

    def _log(self, number):
        with open(f"{self._directory}/worker-{number}.log") as log:
            return log.read()[-2000:]

    def pids(self):
        return pids_of(self._uid)

    def private_bytes(self):
        """All page frames of private memory, each once."""
        done = subprocess.run([self._recount, *map(str, self.pids())], text=True, check=True,
                              stdout=subprocess.PIPE)
        return int(done.stdout) * os.sysconf("SC_PAGESIZE")

    def mapped_bytes(self):
        """All pages of private memory, each as often as it is mapped."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Anonymous:"))
        return total

    def settle(self):
        """Waits until collectors of garbage and the like have done their work; private_bytes() then."""
        deadline = time.monotonic() + SETTLE_SEC
        before, now = 0, self.private_bytes()
        while abs(now - before) > now / 1000 and time.monotonic() < deadline:
            time.sleep(1)
            before, now = now, self.private_bytes()
        return now
