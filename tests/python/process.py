"""A hub as a process of its own, that can be killed and started again over the same data and at the same address."""

import json
import os
import pathlib
import signal
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
CARILLON = os.environ.get("CARILLON", str(ROOT / "target" / "debug" / "carillon"))
# Seconds that a start or a stop may take.
PATIENCE = 60


class HubProcess:
    """`carillon serve --dev --json`."""

    def __init__(self, data: pathlib.Path):
        self.data = data
        self.address = "127.0.0.1:0"
        # Where browsers connect.
        self.bridge = ""
        self.tokens: dict[str, str] = {}
        # What the command is started by.
        self.starter: list[str] = []
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "HubProcess":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        if self.process and self.process.poll() is None:
            self.kill()

    def start(self) -> None:
        """Starts it and waits for its line that says where it serves."""
        self.process = subprocess.Popen(
            [*self.starter, CARILLON, "serve", "--dev", "--json", "--data", self.data]
            + ["--grpc", self.address, "--http", "127.0.0.1:0", "--bridge", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        too_long = threading.Timer(PATIENCE, self.process.kill)
        too_long.start()
        line = self.process.stdout.readline()
        too_long.cancel()
        assert line, f"the hub did not start: exit code {self.process.wait()}"
        ready = json.loads(line)
        self.address = ready["grpc"].removeprefix("http://")
        self.bridge = ready["bridge"]
        self.tokens = ready["tokens"]

    def kill(self) -> None:
        """kill -9: nothing is written, closed or said."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def end(self) -> int:
        """Waits until it has ended by itself; gives the exit code."""
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return code

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()
