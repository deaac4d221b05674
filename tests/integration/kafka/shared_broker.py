"""One broker for all tests that do not end it: a fixture of ctest.

    shared_broker.py start FILE     writes where it listens to FILE; the broker goes on
    shared_broker.py stop FILE

The broker is kept by a process of its own, which ends it when it is told to, and in any case once
the process that called `start`, which is ctest, is gone.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.environ["STRID_KAFKA_TOOLS"])
import broker  # noqa: E402

VERSION = os.environ.get("STRID_KAFKA_VERSION", broker.VERSION)
# Nothing that Strid says may hold one of these.
PASSWORDS = {name: f"canary-{name.lower()}-4711" for name in (*broker.security.MECHANISMS, "key")}
DEADLINE_S = 180
LOOK_S = 0.5


def is_there(pid, word=""):
    """A process with that number, and `word` in its command: numbers are used again."""
    try:
        text = pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return word in text


class Told(Exception):
    """It is to end."""


def end(*_):
    raise Told


def keep(path, caller):
    """Runs the broker; nothing of it goes to the caller's output, which waits for its end."""
    folder = tempfile.mkdtemp(prefix="strid-kafka-")
    signal.signal(signal.SIGTERM, end)
    kept = broker.Broker(folder, VERSION, passwords=PASSWORDS)
    try:
        kept.start()
        about = {"pid": os.getpid(), "bootstrap": kept.bootstrap, "ports": kept.ports,
                 "version": VERSION, "security": str(kept.security.folder)}
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(about), encoding="ascii")
        scratch.rename(path)
        while is_there(caller) and kept.process.poll() is None:
            time.sleep(LOOK_S)
    except Told:
        pass
    finally:
        kept.kill()
        path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def start(path):
    stop(path)
    with open(path.with_suffix(".log"), "w", encoding="utf-8") as log:
        keeper = subprocess.Popen([sys.executable, __file__, "keep", str(path),
                                   str(os.getppid())], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, start_new_session=True)
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            keeper.terminate()
            said = path.with_suffix(".log").read_text(encoding="utf-8")
            sys.exit(f"the broker did not start: {said[-3000:]}")
        time.sleep(0.05)


def stop(path):
    """The file goes last of all."""
    if not path.exists():
        return
    pid = json.loads(path.read_text(encoding="ascii"))["pid"]
    deadline = time.monotonic() + DEADLINE_S
    while path.exists() and is_there(pid, "shared_broker.py"):
        os.kill(pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            sys.exit(f"the keeper of the broker, {pid}, does not end")
        time.sleep(0.1)
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    command, file = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    if command == "keep":
        keep(file, int(sys.argv[3]))
    else:
        {"start": start, "stop": stop}[command](file)
