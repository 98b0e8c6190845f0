"""Getting hold of what is elsewhere, or changing it: solutions, submissions, secrets."""

# Each tries to get a solution's text into `stolen`; where it succeeds, the answer would be right.
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
    "reads_git": """
        import glob, subprocess, zlib
        for path in glob.glob('REPOSITORY/.git/**', recursive=True):
            try: data = open(path, 'rb').read()
            except OSError: continue
            try: text = zlib.decompress(data).partition(b'\\0')[2].decode()
            except (zlib.error, UnicodeDecodeError): text = data.decode(errors='ignore')
            if text.startswith('{') and 'cells' in text: stolen = text
    """,
    "runs_git": """
        import os
        stolen = os.popen("git -C REPOSITORY show HEAD:solutions/STEM.ipynb").read()
    """,
    "connects_by_name": """
        import socket
        s = socket.socket(socket.AF_UNIX); s.connect('\\0NAMELESS'); stolen = s.recv(10**7).decode()
    """,
    "connects_by_path": """
        import glob, socket, stat, os
        for path in ['SOCKET', *glob.glob('/run/**', recursive=True), *glob.glob('/tmp/**')]:
            try:
                if stat.S_ISSOCK(os.stat(path).st_mode):
                    s = socket.socket(socket.AF_UNIX); s.connect(path)
                    stolen = s.recv(10**7).decode()
            except OSError: pass
    """,
    "asks_by_datagram": """
        import socket
        for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
                try:
                    s = socket.socket(family, kind); s.settimeout(1)
                    s.sendto(b'x', 'SOCKET' if family == socket.AF_UNIX else ('127.0.0.1', PORT))
                    stolen = s.recv(10**7).decode()
                except (OSError, TypeError): pass
    """,
    "climbs_out": """
        import os, glob
        for way in ('/proc/self/root', '/proc/1/root', '/proc/self/cwd/../../../../..', '//',
                    *glob.glob('/proc/*/root'), *glob.glob('/proc/*/cwd')):
            try: stolen = open(way + 'SOLUTION').read(); break
            except OSError: pass
        try: os.chroot('.'); os.chdir('..')
        except OSError: pass
        fd = os.open('/', os.O_RDONLY)
        stolen = open(os.open('../../../..SOLUTION', os.O_RDONLY, dir_fd=fd)).read()
    """,
    "reads_open_files": """
        import os
        for fd in range(256):
            try:
                os.lseek(fd, 0, 0); text = os.read(fd, 10**6).decode()
            except (OSError, UnicodeDecodeError): continue
            if 'cells' in text: stolen = text
    """,
    "mounts_the_disk": """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(0x10020000)
        for device in (b'/dev/vda', b'/dev/sda1', b'/dev/nvme0n1p1', b'/'):
            libc.mount(device, b'/tmp', b'ext4', 4096, None)
        stolen = open('/tmpSOLUTION').read()
    """,
    "looks_where_it_came_from": """
        import re
        for line in open('/proc/self/mountinfo'):
            for path in re.findall(r'/[^ ]+', line):
                for end in ('', '/../solutions', '/../../solutions', '/../../../solutions'):
                    try: stolen = open(path + end + '/STEM.ipynb').read()
                    except OSError: pass
    """,
    "attaches_to_its_parent": """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.ptrace(16, os.getppid(), 0, 0) == 0
        buffer = ctypes.create_string_buffer(100)
        stolen = buffer.raw.decode()
    """,
    "joins_other_namespaces": """
        import ctypes, glob, os
        for path in glob.glob('/proc/*/ns/*'):
            try: ctypes.CDLL(None).setns(os.open(path, os.O_RDONLY), 0)
            except OSError: pass
        stolen = open('SOLUTION').read()
    """,
}

# Each tries to leave something behind.
WRITES = {
    "writes_over_another": "WRONG\nopen('VICTIM', 'w').write('{}')",
    "writes_over_the_solution": "WRONG\nopen('SOLUTION', 'w').write('{}')",
    "writes_into_the_library": "WRONG\nopen('LIBRARY/mixlab/checks/checking.py', 'a').write('x')",
    "writes_into_its_stage": "WRONG\nopen('/box/course/mixlab/checks/messages.py', 'a').write('x')",
    "writes_over_the_secrets": "WRONG\nopen('STATE', 'w').write('{}')",
    "writes_into_packages": """
        WRONG
        import torch, pathlib
        pathlib.Path(torch.__file__).with_name('left_by_a_submission.py').write_text('x')
    """,
    "removes_everything": "WRONG\nimport shutil\nshutil.rmtree('/', ignore_errors=True)",
    "writes_into_every_package": """
        WRONG
        import sys, pathlib, site
        for place in {*sys.path, *site.getsitepackages(), sys.prefix, sys.base_prefix}:
            for name in ('left_by_a_submission.py', 'left_by_a_submission.pth',
                         '__pycache__/left_by_a_submission.pyc', 'torch/left_by_a_submission.py'):
                try: pathlib.Path(place, name).write_text('x')
                except OSError: pass
    """,
    "leaves_the_disk_full_unseen": """
        WRONG
        import os
        held = []
        for number in range(200):
            held.append(open(f'/box/sockets/{number}', 'wb'))
            os.unlink(held[-1].name)
            held[-1].write(bytes(6 * 10**7)); held[-1].flush()
    """,
    "links_its_sockets_elsewhere": """
        WRONG
        import os
        for folder in ('/box/sockets', '.'):
            for number in range(1, 9):
                for kernel in range(9):
                    for link in (os.symlink, os.link):
                        try: link('SOLUTION', f'{folder}/k{kernel}-{number}')
                        except OSError: pass
        os.rename('/box/sockets', '/box/elsewhere')
    """,
    "locks_its_folders": """
        WRONG
        import os
        os.makedirs('a/b/c')
        for path in ('a/b', 'a', '.', '/tmp', '/box/sockets'): os.chmod(path, 0)
    """,
}
