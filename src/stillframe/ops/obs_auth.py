"""Tells `rclone serve s3` what an access key may see: started by rclone as `--auth-proxy`, once per key and client
address every five minutes, and once per request whose signature does not fit.

    obs_auth.py SOCKET OBS_DIR <<< {"user": "<access key>", "client_ip": "..."}

It asks the API process over SOCKET and prints the backend that rclone shall make for the key: the project's own folder
of OBS_DIR, and the secret to check the signature with. It exits with 1 for a key that opens nothing.

Nothing of Stillframe is imported and `_socket` stands in for `socket`, whose import takes as long as all the rest:
under `python -I -S` it is done in 10 ms.
Source: https://rclone.org/commands/rclone_serve_s3/#auth-proxy
"""

import _socket
import json
import os
import sys

DEADLINE_S = 5.0
LIMIT_BYTES = 65536


def main(socket_path: str, obs_dir: str) -> int:
    access_key = json.load(sys.stdin)["user"]
    account = ask(socket_path, access_key)
    if "secret" not in account:
        sys.stderr.write(f"{access_key}: {account.get('error', 'no answer')}\n")
        return 1
    json.dump(backend(obs_dir, account["project_id"], account["secret"]), sys.stdout)
    return 0


def ask(socket_path: str, access_key: str) -> dict[str, str]:
    """One JSON line each way."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(DEADLINE_S)
    answer = b""
    try:
        connection.connect(socket_path)
        connection.sendall(json.dumps({"access_key": access_key}).encode() + b"\n")
        while not answer.endswith(b"\n") and len(answer) < LIMIT_BYTES:
            received = connection.recv(LIMIT_BYTES)
            if not received:
                break
            answer += received
    except OSError as error:
        return {"error": f"the identity service does not answer: {error}"}
    finally:
        connection.close()
    account: dict[str, str] = json.loads(answer) if answer else {}
    return account


def backend(obs_dir: str, project_id: str, secret: str) -> dict[str, str]:
    """The project's folder with digests kept beside it.

    `local` alone would read a whole object for its ETag on every HEAD, GET and listing; `hasher` digests an object
    while it arrives and remembers. The project is the root and not part of `remote`, since rclone takes two backends
    of one key and one root for the same.
    """
    if not project_id.replace("-", "").isalnum():
        raise ValueError("the project's id cannot name a folder")
    folder = f"{obs_dir}/{project_id}"
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib costs more than the whole program
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
    return {
        "type": "hasher",
        "remote": obs_dir,
        "_root": project_id,
        "hashes": "md5",
        "max_age": "off",
        "_secret_access_key": secret,
    }


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
