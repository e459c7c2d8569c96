# SPDX-License-Identifier: MPL-2.0
"""The daemons that contenders need, on loopback only, each started at its first use and stopped at the end: our broker and
worker, the peers' servers. Nothing of them outlives the benchmark."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from lib.contender import Failed, Skipped, die_with_parent

START_LIMIT = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_ports(n):
    """The first of n neighbours that are all free."""
    while True:
        first = free_port()
        try:
            for port in range(first, first + n):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return first
        except (OSError, OverflowError):
            pass


def until(condition, what, process=None):
    end = time.monotonic() + START_LIMIT
    while not condition():
        if process and process.poll() is not None:
            raise Failed("%s ended with status %d" % (what, process.returncode))
        if time.monotonic() > end:
            raise Failed("%s was not ready after %d s" % (what, START_LIMIT))
        time.sleep(0.01)


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Services:
    def __init__(self, build):
        self.build = build
        self.directory = tempfile.mkdtemp(prefix="bfork-bench-")
        self.processes = []
        self.running = {}
        self.clusters = 0

    def start(self, argv, env=None):
        with open(os.path.join(self.directory, os.path.basename(argv[0]) + ".log"), "ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                                       env={**os.environ, **(env or {})}, preexec_fn=die_with_parent, start_new_session=True)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.processes = []
        shutil.rmtree(self.directory, ignore_errors=True)

    def get(self, name):
        """The service, started if it does not run yet; what failed once is not tried again. Those called idle or fresh are new every
        time: their memory is measured."""
        if name not in self.running or name.startswith(("idle_", "fresh_")):
            try:
                self.running[name] = getattr(self, "start_" + name)()
            except (Skipped, Failed) as e:
                self.running[name] = e
        if isinstance(self.running[name], Exception):
            raise self.running[name]
        return self.running[name]

    def start_peer(self, program, package, argv):
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/bin")
        if not path:
            raise Skipped("%s is not installed (%s)" % (program, package))
        port = free_port()
        process = self.start([path] + [a.replace("PORT", str(port)) for a in argv])
        until(lambda: answers(port), program, process)
        return {"port": str(port), "pid": str(process.pid)}

    def start_gearmand(self):
        return self.start_peer("gearmand", "gearman-job-server", ["--listen=127.0.0.1", "--port=PORT", "--log-file=none"])

    def start_beanstalkd(self):
        return self.start_peer("beanstalkd", "beanstalkd", ["-l", "127.0.0.1", "-p", "PORT", "-z", "2000000"])

    def start_idle_gearmand(self):
        return self.start_gearmand()

    def start_idle_beanstalkd(self):
        return self.start_beanstalkd()

    def start_cluster(self):
        return self.start_broker("cluster", 2)

    def start_fresh_cluster(self):
        return self.start_broker("fresh", 2)

    def start_idle_cluster(self):
        """A broker that nobody works for."""
        return self.start_broker("idle", 0)

    def start_broker(self, name, slots):
        """A cluster of its own: keys, a broker that allows them, and, if it is to have slots, a worker."""
        self.clusters += 1
        directory = os.path.join(self.directory, "%s-%d" % (name, self.clusters))
        bfork, broker, worker = self.program("cli/bfork"), self.program("broker/bfork-broker"), self.program("worker/bfork-worker")
        endpoint = "tcp://127.0.0.1:%d" % free_ports(3)
        keygen = subprocess.run([bfork, "keygen", "--dir", directory, "--broker", endpoint], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        if keygen.returncode != 0:
            raise Failed(keygen.stderr.strip())
        env = {"HOME": directory, "BFORK_DIR": directory, "XDG_CACHE_HOME": directory}
        ports = os.path.join(directory, "ports")
        process = self.start([broker, "--dir", directory, "--endpoint", endpoint, "--ports-file", ports], env)
        until(lambda: os.path.exists(ports), "bfork-broker", process)
        values = {"env": {"BFORK_PROFILE": os.path.join(directory, "lab.conf")}, "broker": str(process.pid)}
        if slots:
            key = os.path.join(directory, "worker.key")
            as_root = ["--allow-root-tasks"] if os.geteuid() == 0 else []
            values["worker"] = str(self.start([worker, "--key", key, "--slots", str(slots)] + as_root, env).pid)
        return values

    def program(self, *names):
        for name in names:
            path = os.path.join(self.build, name)
            if os.access(path, os.X_OK):
                return path
        raise Skipped("%s is not built" % names[0])
