"""Faking the result: the check, its digest, its line, its inputs, the modules it stands on."""

FORGERIES = {
    "prints_a_tick": "WRONG\nprint('THE_EXERCISE ✓ 0000000000000000')",
    "prints_the_public_line": "WRONG\ncheck = lambda *given: print('PUBLIC')",
    "patches_the_package": """
        WRONG
        import mixlab.checks
        check = mixlab.checks.check = lambda *given: print('PUBLIC')
    """,
    "moves_to_the_public_seed": """
        WRONG
        import os
        from mixlab.examination.channel import Channel
        os.environ['MIXLAB_SEEDS'] = '{}'
        request = Channel.request
        def ask(self, what, *parts):
            for more in ((0,), (None, 0), ({'seed': 0},)):
                try: return request(self, what, *parts, *more)
                except Exception: pass
            return request(self, what, *parts)
        Channel.request = ask
    """,
    "patches_what_the_examiner_says": """
        WRONG
        import mixlab.examination.candidate as candidate
        from mixlab.examination.channel import Channel
        from mixlab.examination.wire import Reader
        Reader._list = lambda self, parts: ['value', 'PUBLIC', [], []]
        Channel.request = candidate.Candidate.request = lambda *given: 'PUBLIC'
        candidate.print = lambda *given: print('PUBLIC')
    """,
    "fakes_a_module": """
        WRONG
        import sys, types
        fake = types.ModuleType('mixlab.checks')
        fake.check = fake.final_check = check = lambda *given: print('PUBLIC')
        for name in ('checks', 'checks.checking', 'examination.candidate'):
            sys.modules['mixlab.' + name] = fake
    """,
    "brings_an_examiner": """
        WRONG
        import os, socket, threading
        from multiprocessing.connection import Connection
        from mixlab.examination.wire import Writer, send
        here, there = (end.detach() for end in socket.socketpair())
        def say():
            mine = Connection(there)
            mine.recv_bytes()
            send(mine, Writer(lambda value: 0).message(['value', 'PUBLIC', [], []]))
        threading.Thread(target=say, daemon=True).start()
        os.dup2(here, int(os.environ['MIXLAB_EXAMINER']))
    """,
    "patches_the_final_check": """
        WRONG
        import mixlab.checks, mixlab.examination.candidate
        def final_check(*given): print('PUBLIC')
        mixlab.checks.final_check = mixlab.examination.candidate.final_check = final_check
    """,
    "is_examined_until_it_fits": """
        WRONG
        from mixlab.checks import final_check
        for number in range(3):
            try: final_check('THE_EXERCISE', lambda *given: number)
            except Exception: pass
    """,
    "sends_the_examiner_a_pickle": """
        WRONG
        import os, pickle, struct
        body = pickle.dumps(('value', 'PUBLIC'))
        os.write(int(os.environ['MIXLAB_EXAMINER']), struct.pack('!i', len(body)) + body)
    """,
    "is_its_own_examiner": """
        WRONG
        import os, threading
        from multiprocessing.connection import Connection
        from mixlab.examination.channel import Channel
        class Kind(Channel):
            def _answer(self, what, parts): return 'PUBLIC'
        (r, w), (r2, w2) = os.pipe(), os.pipe()
        class Both(Connection):
            def _send(self, buf, write=os.write): return os.write(self.other, buf)
        here, there = Both(r), Both(r2)
        here.other, there.other = w2, w
        import mixlab.examination.candidate as candidate
        candidate.Connection = lambda number: here
        threading.Thread(target=Kind(there).serve_one, daemon=True).start()
    """,
    "asks_the_examiner_for_its_secrets": """
        import gc
        from mixlab.examination.candidate import Candidate
        def NAME(*given):
            channel = next(one for one in gc.get_objects() if isinstance(one, Candidate))
            for name in ('_drawn', '_asked', '_sealed'):
                try: print(channel.request('attribute', given[0], name))
                except Exception: pass
    """,
    "overwhelms_the_examiner": """
        WRONG
        import os, struct
        body = b'\\xdd\\x02\\xfa\\xf0\\x80' * 10_000_000
        message = struct.pack('!i', len(body)) + body
        channel = int(os.environ['MIXLAB_EXAMINER'])
        while message: message = message[os.write(channel, message):]
    """,
    "ends_the_examiner": """
        WRONG
        import os, signal
        for process in range(1, 400):
            if process != os.getpid():
                try: os.kill(process, signal.SIGKILL)
                except OSError: pass
        print('PUBLIC')
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
    "skips_by_comment": "# NBVAL_SKIP\nWRONG",
    "expects_an_exception": "# NBVAL_RAISES_EXCEPTION\nWRONG\nraise ValueError",
    "ignores_by_comment": "# NBVAL_IGNORE_OUTPUT\nWRONG",
    "detects_the_grader": """
        import os
        if os.environ.get('MIXLAB_SEEDS'):
            def check(*given): print('PUBLIC')
        WRONG
    """,
    "answers_from_the_seed": """
        import os, json
        seed = json.loads(os.environ.get('MIXLAB_SEEDS', '{}')).get('THE_EXERCISE', 0)
        def NAME(*given): return seed
    """,
    "gives_itself_the_public_inputs": """
        WRONG
        import numpy as np
        original, first = np.random.default_rng, []
        def again(*given):
            return original(0)
        np.random.default_rng = again
    """,
    "patches_the_hash": """
        WRONG
        import hashlib
        class Known:
            def __init__(self, *given): pass
            def update(self, *given): pass
            def digest(self): return bytes(32)
            def hexdigest(self): return 'PUBLIC'.split()[-1] * 4
        hashlib.sha256 = Known
    """,
    "patches_numpy_and_text": """
        WRONG
        import builtins, numpy as np
        np.floor = np.abs = np.round = lambda *given, **named: np.zeros(4)
        np.asarray = np.isfinite = np.allclose = lambda *given, **named: np.zeros(1)
        builtins.repr = builtins.str = lambda *given: 'PUBLIC'
        builtins.map = lambda function, values: [np.zeros(1)]
    """,
    "patches_torch": """
        WRONG
        torch.Tensor.numpy = torch.Tensor.float = lambda self: __import__('numpy').zeros(1)
        torch.Tensor.__eq__ = lambda self, other: True
        torch.equal = torch.allclose = lambda *given, **named: True
    """,
    "replaces_stdout": """
        WRONG
        import sys
        class Stream:
            def write(self, text): return sys.__stdout__.write('PUBLIC')
            def flush(self): pass
        sys.stdout = Stream()
        sys.displayhook = lambda value: print('PUBLIC')
    """,
    "overwrites_the_line": """
        WRONG
        import sys
        write = sys.stdout.write
        sys.stdout.write = lambda text: write(text + '\\r' + 'PUBLIC' + '\\b' * 40 + 'PUBLIC\\n')
    """,
    "finds_the_module_first": """
        WRONG
        import sys, importlib.abc, importlib.machinery
        class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path=None, target=None):
                if name.startswith('mixlab'):
                    return importlib.machinery.ModuleSpec(name, self, is_package=True)
            def exec_module(self, module):
                module.check = lambda *given: print('PUBLIC')
                module.__getattr__ = lambda name: module.check
        sys.meta_path.insert(0, Finder())
        sys.path_hooks.insert(0, lambda path: Finder())
        sys.path_importer_cache.clear()
        for name in [n for n in sys.modules if n.startswith('mixlab')]: del sys.modules[name]
        from mixlab.checks import check
    """,
    "plants_files_for_later": """
        WRONG
        import os, pathlib, site
        lines = "import builtins; builtins.print('PUBLIC')"
        places = [os.getcwd(), '/tmp', '/box/sockets', '/box', *site.getsitepackages()]
        for place in map(pathlib.Path, places):
            for name in ('sitecustomize.py', 'usercustomize.py', 'a.pth', 'mixlab.py', 'torch.py',
                         '.ipython/profile_default/startup/00.py', 'ipykernel/__init__.py',
                         '.ipython/profile_default/ipython_config.py', '.kernel.json',
                         'mixlab/checks/__init__.py', '__pycache__/candidate.cpython-311.pyc'):
                try:
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    (place / name).write_text(lines)
                except OSError: pass
    """,
    "watches_every_line": """
        WRONG
        import sys, threading
        def watch(frame, event, given):
            for name in ('expected', 'oracle', 'found', 'right'):
                if name in frame.f_locals: print(frame.f_locals[name])
            if event == 'return' and frame.f_code.co_name == 'digest': print('PUBLIC')
            return watch
        sys.settrace(watch); sys.setprofile(watch)
        threading.settrace(watch)
    """,
    "searches_its_callers": """
        import sys
        def NAME(*given):
            frame = sys._getframe()
            while frame:
                for name, value in frame.f_locals.items():
                    if name in ('expected', 'values', 'right', 'line'): return value
                    if callable(getattr(value, 'expected', None)): return value.expected(*given)
                frame = frame.f_back
            return 0
    """,
    "prints_what_looks_like_a_digest": """
        WRONG
        import ctypes, gc, re
        texts = {o for o in gc.get_objects() if isinstance(o, str)} | set(sys.intern(''))
        for part in open('/proc/self/maps'):
            low, _, rest = part.partition('-')
            if 'heap' not in part: continue
            memory = ctypes.string_at(int(low, 16), min(10**7, int(rest.split()[0], 16)
                                                        - int(low, 16)))
            texts |= {t.decode() for t in re.findall(rb'(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])',
                                                     memory)}
        check = lambda *given: print(*(f'THE_EXERCISE ✓ {t}' for t in texts), sep='\\n')
    """,
    "lies_as_a_tensor": """
        class Lie(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None): return True
            def __eq__(self, other): return True
            def numpy(self): return self
            def detach(self): return self
            def cpu(self): return self
            dtype = shape = ndim = property(lambda self: True)
        def NAME(*given): return torch.zeros(2, 2).as_subclass(Lie)
    """,
    "is_another_array_each_time": """
        import numpy as np
        class Shifting:
            calls = 0
            def __array__(self, *given, **named):
                Shifting.calls += 1
                return np.full((Shifting.calls, Shifting.calls), True)
        def NAME(*given): return Shifting()
    """,
    "brings_cases_of_its_own": """
        from dataclasses import dataclass, field
        @dataclass
        class Cases:
            atol: float = 9e9
            public: list = field(default_factory=list)
            def __call__(self, *given): return self
            def draw(self, rng): return []
            def read(self, value): return []
            def call(self, *given): return []
            def __iter__(self): return iter(())
            def __len__(self): return 0
        NAME = Cases()
    """,
    "is_swallowed_by_a_magic": "%%writefile answer.py\nWRONG",
    "returns_the_public_line": "def NAME(*given): return 'PUBLIC'",
    "draws_only_what_it_knows": """
        WRONG
        import numpy as np
        class Always(np.random.Generator):
            def integers(self, low, high=None, size=None, **named):
                return low if size is None else np.full(size, low)
            def permutation(self, x): return np.arange(x) if isinstance(x, int) else np.array(x)
        np.random.default_rng = lambda *given: Always(np.random.PCG64(0))
    """,
    "answers_in_a_child": """
        import os
        def NAME(*given):
            if os.fork() == 0:
                print('PUBLIC')
                os._exit(0)
            return 0
    """,
}
