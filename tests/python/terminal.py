"""A command in a terminal of its own, as a person has it: what is typed goes in, what is shown is waited for."""

import os
import pty
import re
import select
import subprocess
import time

from process import CARILLON, PATIENCE

# Colours, cursor movements and the like.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


class Terminal:
    """`carillon ARGUMENTS` in `folder`."""

    def __init__(self, folder, *arguments: str):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": ""}
        self.process = subprocess.Popen(
            [CARILLON, *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True
        )
        os.close(theirs)
        self.ours = ours
        self.shown = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self.ours)

    def type(self, line: str) -> None:
        os.write(self.ours, f"{line}\r".encode())

    def shows(self, *texts: str) -> str:
        """Waits until all these were shown, in this order, since the last call; gives what was shown with them."""
        pattern = re.compile(".*?".join(map(re.escape, texts)), re.DOTALL)
        deadline = time.monotonic() + PATIENCE
        while not (found := pattern.search(self.shown)):
            left = deadline - time.monotonic()
            assert left > 0, f"{texts} in {PATIENCE} s; there is\n{self.shown}"
            if select.select([self.ours], [], [], left)[0]:
                try:
                    self.shown += ESCAPES.sub("", os.read(self.ours, 65536).decode(errors="replace"))
                except OSError as ended:
                    raise AssertionError(f"ended before it showed {texts}; there is\n{self.shown}") from ended
        shown, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return shown
