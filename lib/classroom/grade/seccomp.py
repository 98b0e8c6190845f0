"""System calls that an answer has no use for, refused by the kernel (Linux, seccomp-bpf).

A filter is a small program that Linux runs on every system call of a process and its threads; it
can be added and never taken away. This one refuses new processes, new programs, sockets other
than local ones that wait to be called, memory without a name, tracing and signals to others, and
the calls that change what a process may see or let it outlive its box. Calls that change what is
written on a file's outside, its mode, owner, times and attributes, do nothing and say that they
did: that would be left for the next kernel to read, or, without bubblewrap, spoil what others own.
Threads, files and memory are left alone: limits bound those.

Runs inside the sandbox, on the standard library alone.
"""

import ctypes
import errno
import os
import platform
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, GREATER_EQUAL, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # in struct seccomp_data
CLONE_THREAD = 0x00010000
AF_UNIX, SOCK_STREAM, SOCKET_TYPE = 1, 1, 0xF
F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP = 8, 15, 0x8901, 0x8902  # signals by another way
SCHED_OTHER = 0
PR_SET_PDEATHSIG = 1  # a kernel ends with its box

# machine -> (audit number, {call: number}); -1 where the machine lacks the call
MACHINES = {
    "x86_64": (
        0xC000003E,
        dict(clone=56, clone3=435, socket=41, kill=62, tgkill=234, tkill=200, prlimit64=302)
        | dict(fcntl=72, ioctl=16, connect=42, prctl=157, setsid=112, setpgid=109)
        | dict(fork=57, vfork=58, execve=59, execveat=322, ptrace=101, memfd_create=319)
        | dict(process_vm_readv=310, process_vm_writev=311, shmget=29, unshare=272, setns=308)
        | dict(mount=165, umount2=166, pivot_root=155, chroot=161, keyctl=250, add_key=248)
        | dict(request_key=249, bpf=321, perf_event_open=298, userfaultfd=323, kcmp=312)
        | dict(io_uring_setup=425, pidfd_open=434, pidfd_getfd=438, pidfd_send_signal=424)
        | dict(rt_sigqueueinfo=129, rt_tgsigqueueinfo=297, memfd_secret=447, msgget=68)
        | dict(semget=64, open_tree=428, move_mount=429, fsopen=430, fsmount=432, setpriority=141)
        | dict(mq_open=240, open_by_handle_at=304, name_to_handle_at=303)
        | dict(sched_setscheduler=144, sched_setparam=142, sched_setattr=314, ioprio_set=251)
        | dict(sched_setaffinity=203, migrate_pages=256, move_pages=279)
        | dict(chmod=90, fchmod=91, fchmodat=268, fchmodat2=452, chown=92, fchown=93, lchown=94)
        | dict(fchownat=260, utime=132, utimes=235, futimesat=261, utimensat=280, setxattr=188)
        | dict(lsetxattr=189, fsetxattr=190, setxattrat=463, removexattr=197, lremovexattr=198)
        | dict(fremovexattr=199, removexattrat=466, file_setattr=469),
    ),
    "aarch64": (
        0xC00000B7,
        dict(clone=220, clone3=435, socket=198, kill=129, tgkill=131, tkill=130, prlimit64=261)
        | dict(fcntl=25, ioctl=29, connect=203, prctl=167, setsid=157, setpgid=154)
        | dict(execve=221, execveat=281, ptrace=117, memfd_create=279, process_vm_readv=270)
        | dict(process_vm_writev=271, shmget=194, unshare=97, setns=268, mount=40, umount2=39)
        | dict(pivot_root=41, chroot=51, keyctl=219, add_key=217, request_key=218, bpf=280)
        | dict(perf_event_open=241, userfaultfd=282, kcmp=272, io_uring_setup=425)
        | dict(pidfd_open=434, pidfd_getfd=438, pidfd_send_signal=424, rt_sigqueueinfo=138)
        | dict(rt_tgsigqueueinfo=240, memfd_secret=447, msgget=186, semget=190, open_tree=428)
        | dict(move_mount=429, fsopen=430, fsmount=432, setpriority=140, mq_open=180)
        | dict(open_by_handle_at=265, name_to_handle_at=264)
        | dict(sched_setscheduler=119, sched_setparam=118, sched_setattr=274, ioprio_set=30)
        | dict(sched_setaffinity=122, migrate_pages=238, move_pages=239)
        | dict(fchmod=52, fchmodat=53, fchmodat2=452, fchownat=54, fchown=55, utimensat=88)
        | dict(setxattr=5, lsetxattr=6, fsetxattr=7, setxattrat=463, removexattr=14)
        | dict(lremovexattr=15, fremovexattr=16, removexattrat=466, file_setattr=469),
    ),
}
CONDITIONAL = (
    *("clone", "clone3", "socket", "kill", "tgkill", "tkill", "prlimit64", "fcntl", "ioctl"),
    *("prctl", "sched_setaffinity", "sched_setscheduler"),
)
IDLE = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat", "file_setattr"),
    *("setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    *("removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
)
DONE = ERROR | 0  # says that it succeeded


def _refuse(code: int) -> int:
    return ERROR | code


def program(machine: str, pid: int) -> list[tuple[int, int, int, int]]:
    """The filter as (operation, jump if true, jump if false, operand) for the process `pid`.

    >>> len(program("x86_64", 7)) < 4096
    True
    """
    audit, calls = MACHINES[machine]
    lines = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (GREATER_EQUAL, 0, 1, 0x40000000),  # x86's second numbering would slip past the list
        (RETURN, 0, 0, _refuse(errno.ENOSYS)),
    ]
    for name, number in calls.items():
        if name not in CONDITIONAL:
            answer = DONE if name in IDLE else _refuse(errno.EPERM)
            lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, answer)]
    # The C library asks clone3 first and falls back on clone, whose flags a filter can read.
    lines += [(EQUAL, 0, 1, calls["clone3"]), (RETURN, 0, 0, _refuse(errno.ENOSYS))]
    lines += [
        (EQUAL, 0, 5, calls["clone"]),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (AND, 0, 0, CLONE_THREAD),
        (EQUAL, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, _refuse(errno.EPERM)),
    ]
    for name, allowed, code in (
        ("kill", (pid,), errno.EPERM),
        ("tgkill", (pid,), errno.EPERM),
        ("tkill", (), errno.EPERM),
        ("prlimit64", (0, pid), errno.EPERM),
        ("sched_setaffinity", (0, pid), errno.EPERM),  # or a watch could be put to sleep
    ):
        block = [(LOAD, 0, 0, FIRST_ARGUMENT)]
        for value in allowed:
            block += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
        block += [(RETURN, 0, 0, _refuse(code))]
        lines += [(EQUAL, 0, len(block), calls[name]), *block]
    # The usual way of taking turns, which libzmq asks for its threads, puts nobody to sleep.
    lines += [
        (EQUAL, 0, 4, calls["sched_setscheduler"]),
        (LOAD, 0, 0, SECOND_ARGUMENT),
        (EQUAL, 0, 1, SCHED_OTHER),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, _refuse(errno.EPERM)),
    ]
    for name, argument, refused in (
        ("fcntl", SECOND_ARGUMENT, (F_SETOWN, F_SETOWN_EX)),
        ("ioctl", SECOND_ARGUMENT, (FIOSETOWN, SIOCSPGRP)),
        ("prctl", FIRST_ARGUMENT, (PR_SET_PDEATHSIG,)),
    ):
        block = [(LOAD, 0, 0, argument)]
        for value in refused:
            block += [(EQUAL, 0, 1, value), (RETURN, 0, 0, _refuse(errno.EPERM))]
        block += [(RETURN, 0, 0, ALLOW)]
        lines += [(EQUAL, 0, len(block), calls[name]), *block]
    lines += _local_streams_only(calls["socket"])
    return [*lines, (RETURN, 0, 0, ALLOW)]


def _local_streams_only(socket: int) -> list[tuple[int, int, int, int]]:
    """A stream for jupyter to call, and nothing that could call others: libzmq takes the first
    refusal calmly."""
    return [
        (EQUAL, 0, 8, socket),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (EQUAL, 1, 0, AF_UNIX),
        (RETURN, 0, 0, _refuse(errno.EOPNOTSUPP)),
        (LOAD, 0, 0, SECOND_ARGUMENT),
        (AND, 0, 0, SOCKET_TYPE),
        (EQUAL, 1, 0, SOCK_STREAM),
        (RETURN, 0, 0, _refuse(errno.EOPNOTSUPP)),
        (RETURN, 0, 0, ALLOW),
    ]


def refuse_calls() -> bool:
    """Install the filter on this process, for good; False on a machine that it isn't known for."""
    if platform.system() != "Linux" or platform.machine() not in MACHINES:
        return False
    lines = program(platform.machine(), os.getpid())
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a count, padding, and the address of the lines
    header = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0
