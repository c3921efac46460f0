"""What runs in the child process of a broker: it ties its life to the router's, and becomes the broker.

Run as a file, by `python -P child.py ROUTER_PID SIGNAL program COMMAND…` or `… iotcore CONFIG_FILE`, and not as
a module: nothing of this project is imported, so that it starts fast.
"""

import ctypes
import logging
import os
import resource
import sys

PR_SET_PDEATHSIG = 1
MOST_FILES = 65_536
ORPHANED = 75
"""The exit code where the router died before the child could be tied to it."""


def die_with(parent: int, number: int) -> bool:
    """Have the kernel send us a signal when our parent dies; false where it has died already.

    The tie outlives an exec, but not a change of user: whatever this becomes must not drop its rights. Linux
    only; elsewhere a broker that was left over is ended at the next start.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # Whoever died before the call above sends nothing any more.
    return os.getppid() == parent


def allow_files() -> None:
    """Raise the limit of open files, of which each client takes one, as far as we may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def serve_iotcore(config: str) -> None:
    """Run rumqttd in this process; it has no way to stop but the process's end."""
    # Read when it first panics; a backtrace would fill the log, and names no source that is there.
    os.environ["RUST_BACKTRACE"] = "0"
    from iotcore.iotcore import IotCoreBroker

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # It calls a client that went away an error, and every packet of it too.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    try:
        broker = IotCoreBroker(config_path=config)
    finally:
        os.unlink(config)  # it holds passwords in the clear, and has been read
    broker.run_forever()


def main() -> None:
    parent, number, kind, *rest = sys.argv[1:]
    if not die_with(int(parent), int(number)):
        sys.exit(ORPHANED)
    allow_files()
    if kind == "iotcore":
        serve_iotcore(*rest)
    else:
        os.execvp(rest[0], rest)


if __name__ == "__main__":
    main()
