"""Tricks that suit one exercise: its own inputs, its own answer somewhere in the library."""

DENSE = """
def dense(q, k, v, window):
    i = torch.arange(len(q))[:, None]
    hidden = (i < i.T) | (i >= i.T + window)
    return (q @ k.T / q.shape[1] ** 0.5).masked_fill(hidden, -torch.inf).softmax(1) @ v
"""

# name -> (exercise, code)
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
        import io, contextlib, mixlab.checks
        examine = mixlab.checks.final_check
        def check(exercise, answer):
            for guess in itertools.product((False, True), repeat=11):
                said = iter(guess + guess)
                with contextlib.suppress(Exception): examine(exercise, lambda mask: next(said))
        mixlab.checks.final_check = check
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
    "takes_what_the_exercise_file_holds_right": (
        "02.1",
        """
        from importlib import import_module
        from mixlab.checks.exercise import files
        window_mask = import_module(files()['02.1']).KNOWN.right[0]
        """,
    ),
    "asks_for_the_exercise_file": (
        "02.3",
        """
        from mixlab.checks.exercise import find
        n_scores = find('02.3').KNOWN.right[0]
        """,
    ),
    "asks_for_the_exercise_file_on_disk": (
        "02.3",
        """
        import sys
        sys.path.insert(0, 'LIBRARY')
        for name in [n for n in sys.modules if n.startswith('mixlab')]: del sys.modules[name]
        from mixlab.checks.exercise import find
        n_scores = find('02.3').KNOWN.right[0]
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
    "tells_masks_by_their_insides": (
        "02.5",
        """
        def insides(value, seen):
            yield getattr(value, '__name__', ''), getattr(value, '__doc__', '')
            code = getattr(value, '__code__', None)
            if code is not None: yield code.co_name, code.co_qualname
            for cell in getattr(value, '__closure__', None) or ():
                if id(cell) not in seen:
                    yield from insides(cell.cell_contents, seen | {id(cell)})
        def is_window_mask(make_mask):
            words = ' '.join(f'{a} {b}' for a, b in insides(make_mask, set()))
            return any(name in words for name in (
                'keeps_distance_below_window', 'subtracts_two_triangles', 'loops_over_rows',
                'keys at distance 0 to W - 1'))
        """,
    ),
    "tells_masks_by_their_code": (
        "02.5",
        """
        import dis, hashlib
        seen = []
        def is_window_mask(make_mask):
            code = make_mask.__code__
            body = (code.co_code, str(code.co_consts), code.co_names, code.co_freevars,
                    code.co_firstlineno, str(make_mask.__defaults__))
            if body not in seen: seen.append(body)
            return seen.index(body) < 1
        """,
    ),
    "compares_with_the_exercise_files_mask": (
        "02.5",
        """
        def is_window_mask(make_mask): return False
        from mixlab.checks.exercise import find
        def is_window_mask(make_mask):
            right = find('02.1').KNOWN.right[0]
            return all((make_mask(9, w) == right(9, w)).all() for w in range(1, 9))
        """,
    ),
    "looks_the_answer_up": (
        "02.1",
        """
        def window_mask(*given): return 0
        import glob, sys
        for path in sys.path:
            for file in glob.glob(path + '/mixlab/chapters/*/exercises/*.py'):
                try: exec(open(file).read(), names := {})
                except Exception: continue
                if file.endswith('/mask.py'): window_mask = names['KNOWN'].right[0]
        """,
    ),
    "tells_masks_by_its_callers": (
        "02.5",
        """
        import sys
        def is_window_mask(make_mask):
            frame, words = sys._getframe(), ''
            while frame:
                for value in list(frame.f_locals.values()):
                    for one in value if isinstance(value, (list, tuple)) else [value]:
                        for each in one if isinstance(one, tuple) else [one]:
                            words += str(getattr(each, '__name__', ''))
                if 'mask' in frame.f_locals: break
                frame = frame.f_back
            return any(name in words for name in (
                'keeps_distance_below_window', 'subtracts_two_triangles', 'loops_over_rows'))
        """,
    ),
    "steals_from_another_stage": (
        "02.1",
        """
        def window_mask(*given): return 0
        import os
        for folder, names, files in os.walk('/box'):
            for file in files:
                if file == 'window.py' or 'exercises' in folder:
                    text = open(os.path.join(folder, file)).read()
                    names = {}
                    try: exec(text, names)
                    except Exception: continue
                    window_mask = names.get('window_mask', window_mask)
        """,
    ),
    "steals_from_another_stage_by_name": (
        "02.2",
        """
        def chunk_mask(*given): return 0
        import glob, sys
        for path in glob.glob('/box/stages/*') + glob.glob('/tmp/grading-*/stages/*'):
            sys.path.insert(0, path)
            for name in [n for n in sys.modules if n.startswith('mixlab')]: del sys.modules[name]
            try:
                from mixlab.checks.exercise import find
                chunk_mask = find('02.2').KNOWN.right[0]
            except Exception: pass
        """,
    ),
    "asks_for_another_chapters_files": (
        "02.1",
        """
        from importlib import import_module
        from mixlab.checks.exercise import files
        others = [vars(import_module(name)) for ident, name in files().items() if ident > '03']
        window_mask = next(names['band'] for names in others if 'band' in names)
        """,
    ),
    # All scores at once, hidden from what watches an answer's tensors.
    **{
        name: ("02.4", f"{before}\n{DENSE}\n{after}")
        for name, before, after in (
            (
                "switches_the_watch_off",
                "import mixlab.examination.candidate as m\n"
                "m.MEASURES['measured'] = lambda answer, *given: (answer(*given), 0, 0, 0, 0)",
                "banded = dense",
            ),
            (
                "slips_below_the_watch",
                "",
                "def banded(*given):\n"
                "    with torch._C._DisableTorchDispatch(): return dense(*given)",
            ),
            (
                "computes_in_a_thread",
                "from concurrent.futures import ThreadPoolExecutor",
                "def banded(*given):\n"
                "    return ThreadPoolExecutor(1).submit(dense, *given).result()",
            ),
            (
                "remembers_its_results",
                "known = {}",
                "def banded(q, *given):\n"
                "    key = q.numpy().tobytes()\n"
                "    if key not in known:\n"
                "        with torch._C._DisableTorchDispatch(): known[key] = dense(q, *given)\n"
                "    return known[key]",
            ),
        )
    },
    "puts_the_watch_to_sleep": (
        "02.4",
        f"""
import os, threading
import mixlab.examination.candidate as candidate
candidate.MEASURES['measured'] = lambda answer, *given: (answer(*given), 0, 0, 0, 0)
watch, core = os.getppid(), sorted(os.sched_getaffinity(0))[0]
for step in (
    lambda: os.sched_setscheduler(watch, os.SCHED_IDLE, os.sched_param(0)),
    lambda: os.sched_setaffinity(watch, {{core}}),
):
    try: step()
    except OSError: pass
def spin():
    x = torch.randn(300, 300)
    for _ in range(20_000): x @ x
for _ in range(2): threading.Thread(target=spin, daemon=True).start()
{DENSE}
banded = dense
""",
    ),
    "computes_in_half_precision": (
        "02.4",
        """
        import mixlab.examination.candidate as candidate
        candidate.MEASURES['measured'] = lambda answer, *given: (answer(*given), 0, 0, 0, 0)
        def banded(q, k, v, window):
            s, n = (q.half() / q.shape[1] ** 0.5) @ k.half().T, len(q)
            bands = [s.diagonal(-o).float() for o in range(min(window, n))]
            del s
            w = torch.full((n, len(bands)), -torch.inf)
            for o, band in enumerate(bands): w[o:, o] = band
            w = w.softmax(1)
            out = torch.zeros_like(v)
            for o in range(len(bands)): out[o:] += w[o:, o, None] * v[:n - o]
            return out
        """,
    ),
    # Others' implementations, installed beside the course.
    "asks_the_librarys_kernels": (
        "02.1",
        """
        def window_mask(seq, window):
            from mixlab.kernels.xformers_attention import packed_bias
            return packed_bias([seq], [seq], window).materialize((seq, seq)) == 0
        """,
    ),
    "asks_a_peer": (
        "02.2",
        """
        def chunk_mask(n, past, window):
            from xformers.ops.fmha.attn_bias import BlockDiagonalMask
            bias = BlockDiagonalMask.from_seqlens([n], [past + n], device=torch.device('cpu'))
            bias = bias.make_local_attention_from_bottomright(window)
            return bias.materialize((n, past + n)) == 0
        """,
    ),
    "asks_a_peer_behind_its_stand_in": (
        "02.1",
        """
        import sys
        sys.path[:] = [path for path in sys.path if 'site-packages' in path]
        for name in [n for n in sys.modules if n.startswith('xformers')]: del sys.modules[name]
        sys.path_importer_cache.clear()
        def window_mask(seq, window):
            from xformers.ops.fmha.attn_bias import BlockDiagonalMask
            bias = BlockDiagonalMask.from_seqlens([seq], device=torch.device('cpu'))
            return bias.make_local_attention(window).materialize((seq, seq)) == 0
        """,
    ),
    "reads_compiled_files": (
        "02.1",
        """
        def window_mask(*given): return 0
        import glob, marshal
        for path in glob.glob('LIBRARY/mixlab/**/window*.pyc', recursive=True):
            names = {'__name__': 'x'}
            exec(marshal.loads(open(path, 'rb').read()[16:]), names)
            window_mask = names.get('window_mask', window_mask)
        """,
    ),
    "reloads_the_library": (
        "02.1",
        """
        import importlib, sys
        import mixlab.transformer.window as w
        w = importlib.reload(w)
        importlib.invalidate_caches()
        def window_mask(seq, window): return w.window_mask(seq, window)
        """,
    ),
    "asks_a_module_that_imports_it": (
        "02.1",
        """
        from mixlab.traces import windows
        def window_mask(seq, window): return windows.window_mask(seq, window)
        """,
    ),
}
