"""Taking more than its share: time, memory, files, threads, output, and never ending."""

RESOURCES = {
    "endless_loop": "WRONG\nwhile True: pass",
    "endless_loop_that_resists": """
        WRONG
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            try:
                while True: pass
            except BaseException: pass
    """,
    "endless_call": "def NAME(*given):\n    while True: pass",
    "endless_pattern": "WRONG\nimport re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "sleeps": "WRONG\nimport time\ntime.sleep(10**6)",
    "takes_all_memory": "WRONG\nhoard = []\nwhile True: hoard.append(bytearray(10**8))",
    "takes_memory_in_torch": "WRONG\ntorch.ones(10**12)",
    "fork_bomb": "WRONG\nimport os\nwhile True: os.fork()",
    "thread_bomb": """
        WRONG
        import threading, time
        while True: threading.Thread(target=time.sleep, args=(999,), daemon=True).start()
    """,
    "fills_the_disk": """
        WRONG
        for number in range(10**6):
            with open(f'/tmp/{number}', 'wb') as file: file.write(b'x' * 10**7)
    """,
    "fills_the_sockets_folder": """
        WRONG
        for number in range(10**6):
            with open(f'/box/sockets/{number}', 'wb') as file: file.write(b'x' * 10**6)
    """,
    "digs_folders": """
        WRONG
        import os
        for _ in range(3000):
            os.mkdir('d'); os.chdir('d')
    """,
    "floods_stdout": "WRONG\nwhile True: print('x' * 10**4)",
    "floods_stderr": "WRONG\nimport sys\nwhile True: print('x' * 10**4, file=sys.stderr)",
    "floods_at_once": "WRONG\nprint('x' * 10**9)",
    "floods_displays": """
        WRONG
        from IPython.display import display
        while True: display({'text/plain': 'x' * 10**5}, raw=True)
    """,
    "ends_its_process": "WRONG\nimport os\nos._exit(0)",
    "kills_itself": "WRONG\nimport os\nos.kill(os.getpid(), 9)",
    "kills_its_parent": "WRONG\nimport os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)\nos.kill(1, 9)",
    "crashes": "WRONG\nimport ctypes\nctypes.string_at(0)",
    "hangs_at_exit": "WRONG\nimport atexit, time\natexit.register(time.sleep, 10**6)\nexit()",
    "closes_everything": "WRONG\nimport os\nos.closerange(0, 256)",
    "recurses": "WRONG\nimport sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "claims_to_be_endless": """
        class Endless(list):
            def __len__(self): return 10**18
        def NAME(*given): return Endless()
    """,
    "makes_a_million_files": """
        WRONG
        import os
        for number in range(10**7): os.close(os.open(f'/tmp/{number}', os.O_CREAT))
    """,
    "makes_threads_without_stacks": """
        WRONG
        import threading
        threading.stack_size(32768)
        stop = threading.Event()
        while True: threading.Thread(target=stop.wait, daemon=True).start()
    """,
    "signals_by_a_file": """
        WRONG
        import fcntl, os, signal, socket
        for pid in (os.getppid(), 1, -1, 2):
            a, b = socket.socketpair()
            try:
                fcntl.fcntl(a, 10, signal.SIGSTOP)
                fcntl.fcntl(a, fcntl.F_SETOWN, pid)
                fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC)
            except OSError: continue
            b.send(b'x')
    """,
    "sends_one_endless_message": """
        WRONG
        import zmq
        kernel = get_ipython().kernel
        socket = kernel.iopub_thread.socket
        while True: socket.send(b'x' * 10**6, zmq.SNDMORE)
    """,
    "sends_deep_messages": """
        WRONG
        kernel = get_ipython().kernel
        deep = b'[' * 10**6 + b']' * 10**6
        def check(*given):
            raw, text = kernel.iopub_thread.socket, {'name': 'stdout', 'text': '1' * 10**6}
            raw.send_multipart([b'x', b'<IDS|MSG>', b'', deep, deep, deep, deep])
            kernel.session.send(kernel.iopub_socket, 'stream', text,
                                parent=kernel.get_parent('shell'))
    """,
    "returns_what_never_ends": """
        class Endless:
            def __array__(self, *given, **named):
                while True: pass
            def __iter__(self):
                while True: yield self
            def __repr__(self): return repr(self)
            __len__ = __index__ = __bool__ = __array__
        def NAME(*given): return Endless()
    """,
    "computes_without_python": "WRONG\nx = 7 ** (7 ** 9)\nprint(len(str(x)))",
    "sorts_in_c": "WRONG\nx = sorted(range(10**9), key=lambda i: -i)",
    "never_is_collected": """
        class Hangs:
            def __del__(self):
                while True: pass
        def NAME(*given): return Hangs()
    """,
    "fills_pipes": """
        WRONG
        import fcntl, os
        pipes = []
        while True:
            pipes.append(os.pipe())
            fcntl.fcntl(pipes[-1][1], 1031, 10**6)
            os.write(pipes[-1][1], b'x' * 10**6)
    """,
    "is_urgent": """
        WRONG
        import os, torch
        for call in (lambda: os.nice(-20), lambda: os.setpriority(os.PRIO_USER, 0, -20),
                     lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)),
                     lambda: os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0))):
            try: call()
            except OSError: pass
        torch.set_num_threads(64)
        while True: torch.ones(500, 500) @ torch.ones(500, 500)
    """,
    "raises_its_limits": """
        WRONG
        import resource
        for name in dir(resource):
            if name.startswith('RLIMIT'):
                try: resource.setrlimit(getattr(resource, name), (-1, -1))
                except (OSError, ValueError): pass
        hoard = bytearray(8 * 2**30)
    """,
    "stops_itself": "WRONG\nimport os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "outlives_its_box": """
        WRONG
        import ctypes, os, signal, time
        libc = ctypes.CDLL(None)
        libc.prctl(1, 0, 0, 0, 0); libc.setsid(); libc.setpgid(0, 0)
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        time.sleep(10**6)
    """,
    "locks_what_all_read": """
        WRONG
        import fcntl, glob, os, sys, torch
        held = []
        for path in [sys.executable, torch.__file__, *glob.glob('/box/**', recursive=True)]:
            try:
                held.append(os.open(path, os.O_RDONLY))
                fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError: pass
    """,
    "prints_in_one_line": """
        WRONG
        import sys
        while True: sys.stdout.write('11.1 ✓ ' * 99)
    """,
}
