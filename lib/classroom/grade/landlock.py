"""What a kernel may reach on disk, held by Linux itself (Landlock, Linux 5.13 and later).

Any process can give up access to files for good, without privileges: it names the few folders that
stay, each with what may be done there. A kernel in a box so sees the one part of the library that
its exercise allows, and can leave nothing in the folder of its sockets but sockets. Where there is
no bubblewrap, this is what keeps solutions and other submissions out of sight.

Runs inside the sandbox, on the standard library alone.
"""

import ctypes
import os
import stat
import struct
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every machine
VERSION_FLAG, RULE_PATH_BENEATH = 1, 1
PR_SET_NO_NEW_PRIVS = 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << n for n in range(6))
MAKE_SOCK, REFER, TRUNCATE, IOCTL_DEVICE = 1 << 9, 1 << 13, 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
SOCKETS = MAKE_SOCK | REMOVE_FILE
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
FILES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
NO_TCP, NO_ABSTRACT_SOCKETS_OR_SIGNALS = 0b11, 0b11


def version() -> int:
    """Landlock's version on this machine; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    found = ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    return max(0, found)


def everything(version: int) -> int:
    """All that can be done to files and folders, as far as this version knows."""
    return max(mask for known, mask in FILES_BY_VERSION.items() if known <= version)


def restrict(read: list[str], write: list[str], sockets: list[str]) -> bool:
    """Leave this process only these files and folders, for good; False if that can't be had.

    `read` may be read, in `write` anything may be done, in `sockets` sockets may be made and
    removed. What doesn't exist is passed over.
    """
    known = version()
    if not known:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = everything(known)
    rules = struct.pack("QQQ", handled, NO_TCP, NO_ABSTRACT_SOCKETS_OR_SIGNALS)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = libc.syscall(CREATE_RULESET, rules, size, 0)
    if ruleset < 0:
        return False
    for paths, access in ((read, READ), (write, handled), (sockets, SOCKETS)):
        for path in paths:
            if not _allow(libc, ruleset, path, access & handled):
                return False
    done = not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = done and not libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return done


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> bool:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            access &= OF_FILES
        rule = struct.pack("<Qi", access, handle)
        return libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0) == 0
    finally:
        os.close(handle)
