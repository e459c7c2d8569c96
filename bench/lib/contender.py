# SPDX-License-Identifier: MPL-2.0
"""A contender: a program that is set up once and measures once for each line "run" (see contest.h)."""
import ctypes
import os
import select
import signal
import subprocess
import time

RUN_LIMIT = 60          # seconds of one run, unless the row says otherwise, and of getting ready


class Skipped(Exception):
    """It cannot run here: something is not installed."""


class Failed(Exception):
    """It should run here and does not."""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


class Contender:
    def __init__(self, name, argv, env=None):
        self.name = name
        self.values = []
        self.notes = []                 # what it says besides numbers
        self.limit = RUN_LIMIT
        self.skipped = False            # it ends, and is not to be asked again
        self.pending = b""
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                                        env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
        try:
            line = self.read_line()
            if line != "ready":
                self.refuse(line)
        except BaseException:
            self.stop()
            raise

    def refuse(self, line):
        kind, _, why = line.partition(": ")
        self.skipped = kind == "skip"
        raise (Skipped if kind == "skip" else Failed)(why or line or "it ended with status %s" % self.process.wait(10))

    def read_line(self):
        end = time.monotonic() + self.limit
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed("no answer in %d s" % self.limit)
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                return ""
            self.pending += piece
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace")

    def run(self):
        """True: it has measured."""
        try:
            self.process.stdin.write(b"run\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed("it ended with status %s" % self.process.wait(10)) from None
        line = self.read_line()
        while line.startswith("note: "):
            self.notes.append(line[len("note: "):])
            line = self.read_line()
        try:
            self.values.append(float(line))
        except ValueError:
            self.refuse(line)
        return True

    def stop(self):
        """The end of stdin, a little patience, and then its whole process group."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()
