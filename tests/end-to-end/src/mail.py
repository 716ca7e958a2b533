"""Serves mail by aiosmtpd, on a port that the system picks and prints, until stdin closes.

The folder in the argument has `logins.json`, by user the passwords that are valid now. Each message
that is taken adds a line to `messages`.
"""

import asyncio
import json
import pathlib
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder = pathlib.Path(sys.argv[1])


def authenticate(server, session, envelope, mechanism, login):
    valid = json.loads((folder / "logins.json").read_text())
    assert isinstance(login, LoginPassword)
    known = login.password.decode() in valid.get(login.login.decode(), [])
    return AuthResult(success=known, handled=False)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        with (folder / "messages").open("a") as messages:
            messages.write(envelope.mail_from + "\n")
        return "250 OK"


def session():
    return SMTP(Handler(), authenticator=authenticate, auth_required=True, auth_require_tls=False)


async def serve():
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


threading.Thread(target=asyncio.run, args=[serve()], daemon=True).start()
# The test holds the other end of standard input, so this process ends with the test.
sys.stdin.read()
