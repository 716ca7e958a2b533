"""Serves moto as `moto_server` does, on a port that the system picks and prints, until stdin closes.

`GET /calls` answers how many requests for each operation of Secrets Manager arrived.
"""

import collections
import json
import sys
import threading

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

moto = DomainDispatcherApplication(create_backend_app)
calls = collections.Counter()


def app(environ, start_response):
    if environ["PATH_INFO"] == "/calls":
        body = json.dumps(calls).encode()
        # Without a length, the answer would come in chunks.
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    # An operation arrives as `secretsmanager.GetSecretValue`.
    calls[environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]] += 1
    return moto(environ, start_response)


server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
# The test holds the other end of standard input, so this process ends with the test.
sys.stdin.read()
