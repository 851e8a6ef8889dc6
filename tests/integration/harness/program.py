"""A program of ours that runs beside a test: its output in files, its end under control."""

import signal
import subprocess
from pathlib import Path

import workspace

from .waiting import wait_for


class Program:
    """A program run as the test's own account. Output goes to NAME.out and NAME.log below `folder`, appended to over restarts.
    It is killed when the process that started it dies."""

    def __init__(self, folder: Path, name: str, command: list):
        self.name = name
        self.command = [str(word) for word in command]
        self.out_path = Path(folder) / f"{name}.out"
        self.log_path = Path(folder) / f"{name}.log"
        self.process = None
        self.out_start = 0

    def launch(self) -> None:
        """Start it; output written before is no longer part of `out()`."""
        assert not self.is_running(), f"{self.name} runs already"
        with self.out_path.open("ab") as out, self.log_path.open("ab") as log:
            self.out_start = out.tell()
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.command], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=log, cwd=workspace.ROOT)

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def out(self) -> str:
        """What it printed since it was started last."""
        with self.out_path.open("rb") as file:
            file.seek(self.out_start)
            return file.read().decode(errors="replace")

    def log(self) -> str:
        """What it wrote to standard error over all its runs."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_out(self, condition, deadline: float, message: str) -> str:
        """Wait until `condition` holds for its output, and return that; fails at once when the program ends before."""
        def look() -> str | None:
            ended = not self.is_running()
            text = self.out()
            if condition(text):
                return text or " "
            if ended:
                raise AssertionError(f"{self.name} ended with status {self.process.returncode} before {message}: {self.log()[-2000:]}")
            return None

        return wait_for(look, deadline, lambda: f"{self.name}: {message}; its log: {self.log()[-2000:]}")

    def wait_for_exit(self, deadline: float = 20.0) -> int:
        """Wait until it ends by itself; returns its exit status."""
        wait_for(lambda: not self.is_running(), deadline, f"{self.name} ends")
        return self.process.returncode

    def stop(self, deadline: float = 20.0) -> int:
        """SIGTERM, and wait; returns the exit status. One that does not end is killed, and an AssertionError says so."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {deadline:g} s of SIGTERM: {self.log()[-2000:]}") from None

    def kill(self) -> None:
        """SIGKILL; without effect when it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
