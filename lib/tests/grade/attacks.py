"""Every trick we know for being credited without an answer, each with the exercise it is tried on.

A trick's code stands in the answer cell. `WRONG` becomes a wrong definition of the function that
is asked for; `RIGHT` what the trick would define if it got hold of a solution's text in `stolen`.
Names in capitals are filled in: SOLUTION, VICTIM (another submission), STATE (the run's secrets),
LIBRARY, PORT (a listener outside that would hand out the solution).
"""

from textwrap import dedent

FORGERIES = {
    "prints_a_tick": "WRONG\nprint('EXERCISE ✓ 0000000000000000')",
    "prints_the_public_line": "WRONG\ncheck = lambda *given: print('PUBLIC')",
    "patches_the_package": """
        WRONG
        import mixlab.checks
        check = mixlab.checks.check = lambda *given: print('PUBLIC')
    """,
    "moves_to_the_public_seed": """
        WRONG
        import os, mixlab.checks.core as core
        os.environ['MIXLAB_SEEDS'] = '{}'
        core.seed_of = lambda exercise: core.cases_of(exercise).seed
    """,
    "patches_the_digest": """
        WRONG
        import mixlab.checks.core as core
        from mixlab.checks.digest import Digest
        core.digest = lambda *a, **k: Digest('PUBLIC'.split()[-1], 9.0)
    """,
    "fakes_a_module": """
        WRONG
        import sys, types
        fake = types.ModuleType('mixlab.checks')
        fake.check = check = lambda *given: print('PUBLIC')
        sys.modules['mixlab.checks'] = sys.modules['mixlab.checks.core'] = fake
    """,
    "fakes_an_oracle": """
        WRONG
        import sys, types
        import mixlab.checks.core as core
        core._oracle_of = lambda exercise: None
        core._agree = lambda *given: True
    """,
    "patches_builtins": """
        WRONG
        import builtins
        builtins.AssertionError = builtins.Exception = builtins.BaseException
        builtins.isinstance = lambda *given: True
        builtins.print = lambda *given, **named: None
    """,
    "compares_equal_to_all": """
        import numpy as np
        class Yes(np.ndarray):
            def __eq__(self, other): return True
            def __bool__(self): return True
        def NAME(*given): return np.zeros((1, 1)).view(Yes)
    """,
    "replaces_showtraceback": """
        ip = get_ipython()
        ip.showtraceback = lambda *a, **k: None
        ip._showtraceback = lambda *a, **k: None
        ip.set_custom_exc((BaseException,), lambda *a, **k: None)
        def NAME(*given): raise ValueError
    """,
    "transforms_the_check": """
        WRONG
        get_ipython().input_transformers_cleanup.append(
            lambda lines: ["print('PUBLIC')\\n"] if 'check(' in ''.join(lines) else lines)
    """,
    "transforms_the_tree": """
        WRONG
        import ast
        class Swap(ast.NodeTransformer):
            def visit_Module(self, node): return ast.parse("print('PUBLIC')")
        get_ipython().ast_transformers.append(Swap())
    """,
    "replaces_run_cell": """
        WRONG
        kernel = get_ipython().kernel
        async def done(*a, **k):
            return {'status': 'ok', 'execution_count': 1, 'payload': [], 'user_expressions': {}}
        kernel.do_execute = done
    """,
    "hooks_before_cells": """
        WRONG
        get_ipython().events.register('pre_run_cell', lambda *a: print('PUBLIC'))
    """,
    "unknown_magic": "WRONG\n%no_such_magic\nraise ValueError",
    "shell_escape": "WRONG\n!false\n!cat SOLUTION",
    "skips_by_comment": "# NBVAL_SKIP\nWRONG",
    "expects_an_exception": "# NBVAL_RAISES_EXCEPTION\nWRONG\nraise ValueError",
    "ignores_by_comment": "# NBVAL_IGNORE_OUTPUT\nWRONG",
    "exits_kindly": "WRONG\nimport sys\nsys.exit(0)",
    "quits_ipython": "WRONG\nexit()\nquit()",
    "prints_at_exit": "WRONG\nimport atexit\natexit.register(print, 'PUBLIC')",
    "thread_that_waits": """
        WRONG
        import threading, time
        def later():
            for _ in range(40):
                time.sleep(0.05); print('PUBLIC')
        threading.Thread(target=later, daemon=True).start()
    """,
    "tells_idle_early": """
        WRONG
        kernel = get_ipython().kernel
        def early(*given):
            kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'},
                                parent=kernel.get_parent('shell'), ident=b'status')
        check = early
    """,
    "displays_the_line": """
        WRONG
        from IPython.display import display
        check = lambda *given: display({'text/plain': 'PUBLIC', 'stdout': 'PUBLIC'}, raw=True)
    """,
    "malformed_messages": """
        WRONG
        kernel = get_ipython().kernel
        def check(*given):
            for kind in ('stream', 'display_data', 'error', 'no_such_kind'):
                kernel.session.send(kernel.iopub_socket, kind, {},
                                    parent=kernel.get_parent('shell'))
    """,
    "interrupts_itself": "WRONG\nraise KeyboardInterrupt",
    "detects_the_grader": """
        import os
        if os.environ.get('MIXLAB_SEEDS'):
            def check(*given): print('PUBLIC')
        WRONG
    """,
    "answers_from_the_seed": """
        import os, json
        seed = json.loads(os.environ.get('MIXLAB_SEEDS', '{}')).get('EXERCISE', 0)
        def NAME(*given): return seed
    """,
}

# (exercise, code): tricks that need an exercise of their own.
PARTICULAR = {
    "hard_codes_the_example": (
        "02.3",
        """
        def n_scores(seq, window):
            return {(5, 3): 12, (6, 3): 15, (4, 4): 10}.get((seq, window), 0)
        """,
    ),
    "prints_every_guess": (
        "02.5",
        """
        def is_window_mask(make_mask): return True
        import itertools, json, os
        import numpy as np
        from mixlab.checks.digest import digest
        seed = json.loads(os.environ['MIXLAB_SEEDS'])['02.5']
        def check(exercise, answer):
            for guess in itertools.product((False, True), repeat=11):
                found = digest([np.array(g) for g in guess], salt=f'{exercise}|{seed}', atol=1e-4)
                print(f'{exercise} ✓ {found.text}')
        """,
    ),
    "tells_masks_by_name": (
        "02.5",
        """
        def is_window_mask(make_mask):
            return make_mask.__name__ in (
                'keeps_distance_below_window', 'subtracts_two_triangles', 'loops_over_rows')
        """,
    ),
    "imports_the_library": ("02.1", "from mixlab.transformer.window import window_mask"),
    "imports_by_alias": (
        "02.1",
        """
        import mixlab.transformer.window as w
        def window_mask(seq, window): return w.window_mask(seq, window)
        """,
    ),
    "imports_by_importlib": (
        "02.1",
        """
        import importlib
        def window_mask(seq, window):
            name = '.'.join(['mixlab', 'transformer', 'window'])
            return getattr(importlib.import_module(name), 'window' + '_mask')(seq, window)
        """,
    ),
    "executes_the_librarys_source": (
        "02.1",
        """
        import mixlab, pathlib
        path = pathlib.Path(mixlab.__path__[0], 'transformer', 'window.py')
        exec(path.read_text())
        """,
    ),
    "executes_the_source_on_disk": (
        "02.1",
        "exec(open('LIBRARY/mixlab/transformer/window.py').read())",
    ),
    "calls_the_librarys_attention": (
        "02.4",
        """
        from mixlab.transformer import attention
        def banded(q, k, v, window):
            return attention.attend(q[None, :, None], k[None, :, None], v[None, :, None], window)
        """,
    ),
    "takes_the_cases_masks": (
        "02.1",
        """
        from mixlab.checks.cases.window_masks import keeps_distance_below_window as window_mask
        """,
    ),
    "asks_the_oracle": (
        "02.3",
        """
        from mixlab.checks.oracles.sliding_window import EXERCISES
        n_scores = EXERCISES['02.3'].expected
        """,
    ),
    "asks_the_oracle_on_disk": (
        "02.3",
        """
        import sys
        sys.path.insert(0, 'LIBRARY')
        for name in [n for n in sys.modules if n.startswith('mixlab')]: del sys.modules[name]
        from mixlab.checks.oracles.sliding_window import EXERCISES
        n_scores = EXERCISES['02.3'].expected
        """,
    ),
    "looks_for_functions_in_memory": (
        "02.1",
        """
        import gc, types
        window_mask = next(f for f in gc.get_objects() if isinstance(f, types.FunctionType)
                           and f.__name__ in ('window_mask', 'keeps_distance_below_window'))
        """,
    ),
}

# Each tries to get hold of a solution's text; where it succeeds, the answer would be right.
THEFTS = {
    "reads_the_solution": "stolen = open('SOLUTION').read()",
    "reads_another_submission": "stolen = open('VICTIM').read()",
    "reads_the_runs_secrets": "stolen = open('STATE').read()",
    "searches_the_disk": """
        import os
        for folder, names, files in os.walk('/'):
            if folder.startswith(('/proc', '/sys', '/usr', '/root')): names.clear(); continue
            for file in files:
                if file.endswith('.ipynb'): stolen = open(os.path.join(folder, file)).read()
    """,
    "reads_through_proc": """
        import os
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try: stolen = open(f'/proc/{pid}/rootSOLUTION').read(); break
            except OSError: pass
    """,
    "reads_environments": """
        import glob
        for file in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):
            try: text = open(file).read()
            except OSError: continue
            if 'ipynb' in text: stolen = text
    """,
    "reads_the_parents_memory": """
        import os
        memory = open(f'/proc/{os.getppid()}/mem', 'rb', 0)
        stolen = memory.read(100)
    """,
    "asks_the_network": """
        import urllib.request
        stolen = urllib.request.urlopen('http://127.0.0.1:PORT/', timeout=2).read().decode()
    """,
    "starts_a_program": """
        import subprocess
        stolen = subprocess.run(['cat', 'SOLUTION'], capture_output=True, text=True).stdout
    """,
    "follows_a_link": "import os\nos.symlink('SOLUTION', 'link')\nstolen = open('link').read()",
    "listens_at_the_sockets": """
        import os
        for name in os.listdir('/box/sockets'):
            if 'ipynb' in (text := open('/box/sockets/' + name).read()): stolen = text
    """,
}

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
}

WRITES = {
    "writes_over_another": "WRONG\nopen('VICTIM', 'w').write('{}')",
    "writes_over_the_solution": "WRONG\nopen('SOLUTION', 'w').write('{}')",
    "writes_into_the_library": "WRONG\nopen('LIBRARY/mixlab/checks/core.py', 'a').write('x')",
    "writes_into_its_stage": "WRONG\nopen('/box/course/mixlab/checks/core.py', 'a').write('x')",
    "writes_over_the_secrets": "WRONG\nopen('STATE', 'w').write('{}')",
    "writes_into_packages": """
        WRONG
        import torch, pathlib
        pathlib.Path(torch.__file__).with_name('left_by_a_submission.py').write_text('x')
    """,
    "removes_everything": "WRONG\nimport shutil\nshutil.rmtree('/', ignore_errors=True)",
}

WRONG = "def NAME(*given):\n    return 0"
RIGHT = (
    "cells = json.loads(stolen).get('cells', [])\n"
    "for cell in cells:\n"
    "    if 'def NAME' in ''.join(cell['source']): exec(''.join(cell['source']))"
)


def attacks() -> list[tuple[str, str | None, str]]:
    """(name, exercise or None for any, code) of every attack."""
    found = [(name, None, dedent(code).strip()) for name, code in FORGERIES.items()]
    found += [(name, ident, dedent(code).strip()) for name, (ident, code) in PARTICULAR.items()]
    for name, code in THEFTS.items():
        steps = f"import json\n{dedent(code).strip()}\n{RIGHT}"
        found.append((name, None, f"WRONG\n{steps}"))
    for table in (WRITES, RESOURCES):
        found += [(name, None, dedent(code).strip()) for name, code in table.items()]
    return found


def code_of(code: str, names: dict[str, str], exercise: str, function: str) -> str:
    """The attack as it stands in an answer cell of this exercise."""
    code = code.replace("WRONG", WRONG).replace("EXERCISE", exercise).replace("NAME", function)
    for name, value in names.items():
        code = code.replace(name, value)
    return code
