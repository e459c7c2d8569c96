# SPDX-License-Identifier: MPL-2.0
"""xargs -P2: commands that do nothing, an argument of its own each; commands a second."""
import shutil
import subprocess

import contest

COMMANDS = 1500
LINES = "".join("%d\n" % i for i in range(COMMANDS)).encode()


def run():
    subprocess.run(["xargs", "-P2", "-n1", shutil.which("true")], input=LINES, check=True)


contest.die_with_parent()
if not shutil.which("xargs"):
    contest.skip("xargs is not installed")
contest.loop(lambda: contest.rate(COMMANDS, run))
