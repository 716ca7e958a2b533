"""Serves MiniStack on a port that the system picks and prints, until stdin closes."""

import os
import runpy
import socket
import sys
import threading
import time
import urllib.request

# Its command takes no listening socket. Another process may take the port in between; then the
# start fails, and the test says so.
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
# By default it listens on every interface.
os.environ.update(BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port))
stdout = os.dup(1)
os.dup2(2, 1)


def announce():
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
            break
        except OSError:
            time.sleep(0.05)
    os.write(stdout, f"{port}\n".encode())


def end_with_the_test():
    # The test holds the other end of standard input.
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=announce, daemon=True).start()
threading.Thread(target=end_with_the_test, daemon=True).start()
sys.argv = ["ministack"]
runpy.run_module("ministack", run_name="__main__")
