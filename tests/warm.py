"""kdlab in processes of its own without paying for its imports each time: forks of a process that has made them.

``Warm().run(words, env)`` stands for ``subprocess.run([sys.executable, "kill_driver.py", *words])``, and
``run_together`` starts several at once. A child has its own environment and output, and dies for good where it is
killed. The process that is forked has one thread, so that a fork is safe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path


class Warm:
    """A process that has imported kdlab; every run is a fork of it."""

    def __init__(self):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, __file__], env=env, **pipes)

    def run(self, words, env) -> subprocess.CompletedProcess:
        """One run, waited for."""
        (done,) = self.run_together([(words, env)])
        return done

    def run_together(self, jobs) -> list[subprocess.CompletedProcess]:
        """Runs side by side, all waited for.

        Args:
            jobs: Words and environment of each.
        """
        with tempfile.TemporaryDirectory() as folder:
            asked = [{"words": words, "env": env, "to": f"{folder}/{i}"} for i, (words, env) in enumerate(jobs)]
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            assert answer, f"the process that runs are forks of has ended with {self.process.poll()}"
            outputs = [[Path(f"{folder}/{i}.{end}").read_text() for end in ("out", "err")] for i in range(len(jobs))]
        codes = zip(json.loads(answer), jobs, outputs, strict=True)
        return [subprocess.CompletedProcess(words, code, *output) for code, (words, _), output in codes]

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait(timeout=60)


def _child(job) -> None:
    """A run in a fork, which ends here."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(job["env"])
        for number, end in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{job['to']}.{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        import kill_driver

        code = kill_driver.run(job["words"])
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def serve() -> None:
    """Forks a child for each job of a line of standard input, and answers with their exit codes."""
    sys.path.insert(1, str(Path(__file__).parents[1]))  # this checkout's kdlab, whichever is installed
    import kill_driver  # noqa: F401
    from transformers import AutoTokenizer, BertForSequenceClassification  # noqa: F401

    import kdlab.pipeline.execute
    import kdlab.planning.plan  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        children = []
        for job in json.loads(line):
            child = os.fork()
            if not child:
                _child(job)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        answers.write(json.dumps(codes) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
