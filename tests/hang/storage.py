# SPDX-License-Identifier: Apache-2.0
"""storage: a directory whose file system hangs when it is told to (hang_fs.c)."""
import os
import pathlib
import signal
import subprocess
import time

MOUNT_S = 20


class Storage:
    """BACK over FUSE at `path`, below a folder of the caller's."""

    def __init__(self, hang_fs, folder):
        self.back = folder / "back"
        self.path = folder / "mounted"
        self.back.mkdir()
        self.path.mkdir()
        self.process = subprocess.Popen([str(hang_fs), str(self.back), str(self.path)], stdin=subprocess.DEVNULL)
        until = time.monotonic() + MOUNT_S
        while not os.path.ismount(self.path):
            if self.process.poll() is not None or time.monotonic() > until:
                self.close()
                raise OSError(f"{hang_fs} did not mount {self.path}")
            time.sleep(0.01)

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.go_on()
        subprocess.run(["fusermount3", "-u", "-z", str(self.path)], check=False, capture_output=True)
        try:
            self.process.wait(MOUNT_S)  # it ends when it is unmounted
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def why_not():
    """What the host lacks, or ''."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse"
    return "" if any((pathlib.Path(at) / "fusermount3").exists() for at in os.get_exec_path()) else "fusermount3"
