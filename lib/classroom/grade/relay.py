"""Stands for a boxed kernel outside the box.

`relay.py CONTROL CONNECTION_FILE SOCKETS REQUEST`

nbval starts this as if it were the kernel. It asks the box for one and lives exactly as long: when
the kernel ends the connection closes and so does this process; when this process is interrupted or
killed, the box kills the kernel. REQUEST is JSON: the exercise, the kernel's library, limits, room.
"""

import json
import os
import socket
import sys


def main() -> None:
    """Ask for a kernel and wait for its end."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        with open(sys.argv[2], encoding="utf-8") as file:
            facts = json.load(file)
        facts["ip"] = os.path.join(sys.argv[3], os.path.basename(facts["ip"]))  # as the box sees it
        request = json.loads(sys.argv[4]) | {"connection": facts}
        connection.sendall(json.dumps(request).encode() + b"\n")
        connection.recv(1)


if __name__ == "__main__":
    main()
