# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that are measured: how each is made ready, started, and asked."""

import glob
import http.client
import os
import shutil
import subprocess

WORDS = "amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon".split()
N_ITEMS = 2000


def item_name(number):
    return f"{WORDS[number % 12]} {WORDS[number * 7 // 12 % 12]} {number}"


class Runtime:
    """A web server in some language, from workers/. What is asked of it differs from worker to worker."""

    packages = "runtimes"

    def __init__(self, name, title, command, version, packages=None):
        self.name = name
        self.title = title
        self._command = command
        self._version = version
        self.packages = packages or self.packages

    def prepare(self, directory, uid):
        """In @directory lies a copy of workers/; what is made there can be read by everybody."""

    def version(self, directory):
        return subprocess.run(self._version, cwd=directory, text=True, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.split("\n")[0].strip()

    def command(self, directory, port, number):
        """Of worker @number, which is to listen on @port."""
        return [*self._command, str(port)]

    def connect(self, directory, port, number):
        """What ask() and close() take; None as long as the worker does not listen."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.connect()
        except ConnectionRefusedError:
            return None
        # ask() connects again: some do not wait for long for what they are asked.
        connection.close()
        return connection

    def ask(self, connection, n, random):
        for _ in range(n):
            number, what = random.randrange(N_ITEMS), random.random()
            expected = item_name(number)
            if what < 0.6:
                path = f"/item/{number}"
            elif what < 0.8:
                path = f"/json/{number}"
            else:
                expected = random.choice(WORDS)
                path = f"/search?q={expected}"
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            if response.status != 200 or expected not in body:
                raise RuntimeError(f"{self.name}: {path} was answered with {response.status}: {body[:200]}")
        connection.close()

    def close(self, connection):
        connection.close()


class Java(Runtime):
    def prepare(self, directory, uid):
        subprocess.run(["javac", "App.java"], cwd=directory, check=True)


class Go(Runtime):
    def prepare(self, directory, uid):
        environment = os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off", "HOME": directory,
                                    "GOCACHE": f"{directory}/go-cache", "GOFLAGS": ""}
        subprocess.run(["go", "build", "-o", "app-go", "app.go"], cwd=directory, check=True, env=environment)
        shutil.rmtree(f"{directory}/go-cache")


class PostgreSQL(Runtime):
    """Servers of their own, or one for all workers, which then are its backends. The client is psql, and
    not counted."""

    def __init__(self, name, title, one_server):
        super().__init__(name, title, [], ["psql", "--version"])
        self._one_server = one_server

    def prepare(self, directory, uid):
        bin_directory = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self._server = f"{bin_directory}/postgres"
        # initdb wants its user to have a name.
        template = f"{directory}/cluster"
        os.mkdir(template, mode=0o700)
        shutil.chown(template, "postgres", "postgres")
        subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                        f"{bin_directory}/initdb", "--auth=trust", "--username=shop", "--locale=C.UTF-8",
                        "--no-sync", "-D", template], check=True, stdout=subprocess.DEVNULL)
        self._template = template
        self._uid = uid

    def command(self, directory, port, number):
        if self._one_server and number > 0:
            return None
        data = f"{directory}/cluster.{number}"
        if not os.path.exists(data):
            subprocess.run(["cp", "-a", self._template, data], check=True)
            subprocess.run(["chown", "-R", f"{self._uid}:{self._uid}", data], check=True)
        return [self._server, "-D", data, "-k", data, "-p", str(port), "-c", "listen_addresses=",
                "-c", "autovacuum=off"]

    def connect(self, directory, port, number):
        data = f"{directory}/cluster.{0 if self._one_server else number}"
        sockets = glob.glob(f"{data}/.s.PGSQL.*[0-9]")
        if not sockets:
            return None
        psql = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", data,
                                 "-U", "shop", "-p", sockets[0].rpartition(".")[2], "postgres"], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self._answer(psql, "SELECT 1;") != ["1"]:
            psql.communicate()
            return None
        if not self._one_server or number == 0:
            rows = ", ".join(f"({i}, '{item_name(i)}', {i * 7919 % 10000 / 100})" for i in range(N_ITEMS))
            self._answer(psql, "DROP TABLE IF EXISTS items; "
                               "CREATE TABLE items (id int PRIMARY KEY, name text, price numeric);"
                               f"INSERT INTO items VALUES {rows}; ANALYZE items;")
        return psql

    @staticmethod
    def _answer(psql, statements):
        lines = []
        try:
            psql.stdin.write(statements + "\n\\echo end\n")
            psql.stdin.flush()
        except BrokenPipeError:
            return None
        for line in psql.stdout:
            if line == "end\n":
                return lines
            lines.append(line.rstrip("\n"))
        return None

    def ask(self, connection, n, random):
        for _ in range(n):
            number, word = random.randrange(N_ITEMS), random.choice(WORDS)
            if random.random() < 0.7:
                statement = f"SELECT name, price FROM items WHERE id = {number};"
                expected = item_name(number)
            else:
                statement = ("SELECT min(name), avg(price) FROM items JOIN pg_class"
                             f" ON pg_class.relname = 'items' WHERE name LIKE '%{word}%' GROUP BY id % 7 ORDER BY 2;")
                expected = word
            answer = self._answer(connection, statement)
            if not answer or expected not in answer[0]:
                raise RuntimeError(f"{self.name}: {statement} was answered with {answer}")

    def close(self, connection):
        connection.communicate()


ALL = [
    Runtime("python3", "CPython, Flask", ["python3", "app.py"],
            ["python3", "-c", "import sys, flask; print(sys.version.split()[0], 'Flask', flask.__version__)"],
            packages="fleet"),
    Runtime("node", "Node.js", ["node", "app.js"], ["node", "--version"], packages="fleet"),
    # V8 places its heap by random numbers of its own, unless it is told where they begin. mergemem-run
    # --stable-hash does that for "node"; this is what that gives without a layout, and has Math.random() alike.
    Runtime("node-seed", "Node.js, --random-seed", ["node", "--random-seed=20261", "app.js"],
            ["node", "--version"], packages="fleet"),
    Runtime("perl", "Perl, Mojolicious", ["perl", "app.pl"],
            ["perl", "-MMojolicious", "-e", "printf qq(%vd Mojolicious %s\n), $^V, Mojolicious->VERSION"],
            packages="fleet"),
    Runtime("php", "PHP", ["php", "app.php"], ["php", "-r", "echo PHP_VERSION;"]),
    Runtime("ruby", "Ruby, WEBrick", ["ruby", "app.rb"], ["ruby", "-e", "puts RUBY_VERSION"]),
    Java("java", "JVM, serial GC", ["java", "-XX:+UseSerialGC", "-cp", ".", "App"], ["java", "--version"]),
    Java("java-g1", "JVM, G1", ["java", "-XX:+UseG1GC", "-cp", ".", "App"], ["java", "--version"]),
    Go("go", "Go, static", ["./app-go"], ["go", "version"]),
    PostgreSQL("postgresql", "PostgreSQL, servers", one_server=False),
    PostgreSQL("postgresql-backends", "PostgreSQL, backends", one_server=True),
]
BY_NAME = {runtime.name: runtime for runtime in ALL}
FLEET = ["python3", "node", "perl"]
