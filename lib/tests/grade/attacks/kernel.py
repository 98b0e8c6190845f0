"""The kernel turned against the check: IPython's hooks, magics, messages, tasks and exits."""

KERNEL = {
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
    "guesses_the_next_message": """
        WRONG
        import threading, time
        kernel = get_ipython().kernel
        parent = kernel.get_parent('shell')
        stem, _, count = parent['header']['msg_id'].rpartition('_')
        def forge():
            for _ in range(100):
                for ahead in range(1, 6):
                    header = {**parent['header'], 'msg_id': f'{stem}_{int(count) + ahead}'}
                    for kind, content in (('stream', {'name': 'stdout', 'text': 'PUBLIC'}),
                                          ('status', {'execution_state': 'idle'})):
                        kernel.session.send(kernel.iopub_socket, kind, content,
                                            parent={**parent, 'header': header})
                time.sleep(0.01)
        threading.Thread(target=forge, daemon=True).start()
    """,
    "replies_for_the_kernel": """
        WRONG
        import threading, time
        kernel = get_ipython().kernel
        parent = kernel.get_parent('shell')
        stem, _, count = parent['header']['msg_id'].rpartition('_')
        for ahead in range(1, 4):
            header = {**parent['header'], 'msg_id': f'{stem}_{int(count) + ahead}'}
            kernel.session.send(kernel.shell_stream, 'execute_reply', {'status': 'ok'},
                                parent={**parent, 'header': header})
    """,
    "goes_silent": """
        WRONG
        kernel = get_ipython().kernel
        kernel.session.send = lambda *given, **named: None
        kernel.iopub_socket.close()
    """,
    "changes_the_key": "WRONG\nget_ipython().kernel.session.key = b'another'",
    "updates_old_displays": """
        WRONG
        from IPython.display import display, update_display, clear_output
        handle = display('x', display_id='forged')
        def check(*given):
            clear_output(wait=True)
            update_display('PUBLIC', display_id='forged')
            handle.update({'text/plain': 'PUBLIC'}, raw=True)
            get_ipython().display_pub.publish({'text/plain': 'PUBLIC'}, {}, transient={})
    """,
    "opens_comms": """
        WRONG
        kernel = get_ipython().kernel
        def check(*given):
            for kind in ('comm_open', 'comm_msg', 'comm_close'):
                kernel.session.send(kernel.iopub_socket, kind,
                                    {'comm_id': 'x', 'target_name': 'x', 'data': 'PUBLIC'},
                                    parent=kernel.get_parent('shell'))
    """,
    "sets_payloads": """
        WRONG
        get_ipython().set_next_input("print('PUBLIC')", replace=True)
        get_ipython().payload_manager.write_payload({'source': 'page', 'data': 'PUBLIC'})
        %page PUBLIC
    """,
    "asks_for_input": "WRONG\ncheck = lambda *given: print(input('PUBLIC'))\nx = input()",
    "runs_in_the_browser": "%%javascript\nIPython.notebook.kernel.execute('x')",
    "runs_a_file": "WRONG\nopen('x.py', 'w').write('print(1)')\n%run x.py\n%run SOLUTION",
    "switches_magics": """
        WRONG
        %xmode Minimal
        %pdb on
        %load_ext autoreload
        %autoreload 2
        %alias_magic check time
        %rehashx
    """,
    "schedules_a_task": """
        WRONG
        import asyncio
        async def later():
            for _ in range(200):
                await asyncio.sleep(0.01); print('PUBLIC')
        asyncio.get_event_loop().create_task(later())
        asyncio.get_event_loop().call_later(0.1, print, 'PUBLIC')
    """,
    "holds_the_namespace": """
        WRONG
        import threading, time
        shell = get_ipython()
        def hold():
            while True:
                shell.user_ns['check'] = lambda *given: print('PUBLIC')
                shell.user_global_ns['check'] = shell.user_ns['check']
                time.sleep(0)
        threading.Thread(target=hold, daemon=True).start()
    """,
    "prints_when_collected": """
        WRONG
        import gc
        class Last:
            def __del__(self): print('PUBLIC')
        for _ in range(50):
            last = Last(); last.self = last
        del last
        gc.callbacks.append(lambda *given: print('PUBLIC'))
    """,
    "raises_what_cannot_be_shown": """
        WRONG
        class Odd(BaseException):
            def __str__(self): raise self
            __repr__ = _render_traceback_ = __str__
        raise Odd
    """,
    "sends_no_text": """
        WRONG
        kernel = get_ipython().kernel
        def check(*given):
            for text in (['PUBLIC'], {'PUBLIC': 1}, 7, None, True, [[['PUBLIC']]]):
                kernel.session.send(kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': text},
                                    parent=kernel.get_parent('shell'))
    """,
    "sends_odd_headers": """
        WRONG
        kernel = get_ipython().kernel
        def check(*given):
            parent = kernel.get_parent('shell')
            for header in ({}, {'msg_id': parent['header']['msg_id'], 'date': '9' * 10**5},
                           {'msg_id': [], 'msg_type': {}, 'version': float('nan')}):
                kernel.session.send(kernel.iopub_socket, 'execute_result',
                                    {'data': {'text/plain': 'PUBLIC'}, 'metadata': 3},
                                    parent=parent, header={**parent['header'], **header})
    """,
    "raises_what_looks_passed": """
        WRONG
        class Odd(BaseException):
            def _render_traceback_(self): return ['PUBLIC', '', 'Cell 1: passed']
        raise Odd('passed')
    """,
}
