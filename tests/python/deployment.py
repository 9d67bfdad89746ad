"""What deploy/ would start in containers, started as processes of this machine: the same commands and files, with paths, names
and ports in place of those that containers have."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import yaml
from process import CARILLON, PATIENCE, ROOT

DEPLOY = ROOT / "deploy"
NODES = ("node1", "node2", "node3")
TENANT = "acme"
ISSUER = "https://id.example.com"
ORIGIN = "https://app.example.com"


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def mounted(service: dict) -> dict[str, pathlib.Path]:
    """Files of deploy/ by where the service finds them."""
    pairs = (volume.split(":") for volume in service["volumes"])
    return {pair[1]: DEPLOY / pair[0] for pair in pairs if pair[0].startswith("./")}


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def replaced(text: str, changes: dict[str, str]) -> str:
    """With each of these, which must be there, in place."""
    for old, new in changes.items():
        assert old in text, f"{old} is not in\n{text}"
        text = text.replace(old, new)
    return text


class Deployment:
    """Redis, three nodes and the balancer. `folder` is for everything that containers would hold."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.services = compose()["services"]
        self.secret, self.password = secrets.token_hex(32), secrets.token_hex(16)
        ports = iter(free_ports(11))
        self.redis_port, self.balancer_port = next(ports), next(ports)
        self.ports = {node: {listener: next(ports) for listener in (7420, 7421, 7422)} for node in NODES}
        self.processes: dict[str, subprocess.Popen] = {}
        # What .env has.
        self.settings = {
            "REDIS_PASSWORD": self.password,
            "ORIGINS": f'["{ORIGIN}"]',
            "ISSUER": ISSUER,
        }
        self.tokens = {user: self._token(user) for user in ("alice", "bob")}
        self._make_secrets()

    def __enter__(self) -> "Deployment":
        try:
            self.start_redis()
            for node in NODES:
                self.start_node(node)
            self.start_balancer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for name in list(self.processes):
            self.kill(name)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(PATIENCE)

    def start_redis(self) -> None:
        service = self.services["redis"]
        data = self.folder / "redis"
        data.mkdir()
        changes = {"port 6379": f"port {self.redis_port}\nbind 127.0.0.1", "dir /data": f"dir {data}"}
        [(place, file)] = mounted(service).items()
        settings = self._copy("redis.conf", replaced(file.read_text(), changes))
        [script] = service["command"]
        self._start("redis", [*service["entrypoint"], replaced(script.replace("$$", "$"), {place: str(settings)})])
        probe = service["healthcheck"]["test"][1].replace("$$", "$")
        probe = replaced(probe, {"redis-cli": f"redis-cli -p {self.redis_port}"})
        environment = self._environment(service)
        self.until("redis is healthy", lambda: subprocess.run(["sh", "-c", probe], env=environment).returncode == 0)

    def start_node(self, node: str) -> None:
        service = self.services[node]
        [(place, file)] = mounted(service).items()
        changes = {f"0.0.0.0:{listener}": f"127.0.0.1:{port}" for listener, port in self.ports[node].items()}
        changes |= {
            "redis://redis:6379": f"redis://127.0.0.1:{self.redis_port}",
            "172.31.74.2": "127.0.0.1",
            "/run/secrets": str(self.folder / "secrets"),
        }
        settings = self._copy(f"{node}.toml", replaced(file.read_text(), changes))
        arguments = [str(settings) if argument == place else argument for argument in service["command"]]
        self._start(node, [CARILLON, *arguments])
        self.until(f"{node} is ready", lambda: self.ask(node, "/health/ready")[0] == 200)

    def start_balancer(self) -> None:
        service = self.services["balancer"]
        [(place, file)] = mounted(service).items()
        text = replaced(file.read_text(), {"/run/secrets/hub-pem": str(self.folder / "secrets" / "hub-pem")})
        # Three nodes of one machine differ in their ports, and it may not allow so many open files.
        changes = {":8443": f"127.0.0.1:{self.balancer_port}", "check port 7421": "check", "maxconn 20000": "maxconn 500"}
        text = replaced(text, changes)
        for node, listeners in self.ports.items():
            bridge = f"127.0.0.1:{listeners[7422]} port {listeners[7421]}"
            text = replaced(text, {f"{node}:7420": f"127.0.0.1:{listeners[7420]}", f"{node}:7422": bridge})
        settings = self._copy("haproxy.cfg", text)
        command = [str(settings) if argument == place else argument for argument in service["command"]]
        subprocess.run([command[0], "-c", "-q", "-f", str(settings)], check=True)
        self._start("balancer", command)
        self.until("the balancer answers", lambda: self.through_balancer("/health/ready") == 200)

    @property
    def address(self) -> str:
        """Where clients dial."""
        return f"localhost:{self.balancer_port}"

    def certificate(self) -> bytes:
        return (self.folder / "hub.crt").read_bytes()

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.certificate().decode())

    def ask(self, node: str, path: str) -> tuple[int, str]:
        """The answer of a node's health and metrics; status 0 where there is none."""
        url = f"http://127.0.0.1:{self.ports[node][7421]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    def figure(self, node: str, name: str) -> float:
        _, text = self.ask(node, "/metrics")
        found = re.search(f"^{re.escape(name)} (.*)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def nodes_with_sessions(self) -> list[str]:
        return [node for node in NODES if self.figure(node, "carillon_sessions_active") > 0]

    def until(self, what: str, is_so) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} has ended with {process.returncode}: {self._said(name)}"
            assert time.monotonic() < deadline, f"{what}: not in time"

    def through_balancer(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"https://{self.address}{path}", context=self.trust()) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def _start(self, name: str, command: list[str]) -> None:
        service = self.services[name]
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self._empty(name),
                env=self._environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _empty(self, name: str) -> pathlib.Path:
        """Where it runs, and may not write."""
        folder = self.folder / f"{name}-runs-here"
        folder.mkdir(exist_ok=True)
        return folder

    def left_behind(self, name: str) -> list[str]:
        return sorted(path.name for path in self._empty(name).iterdir())

    def _said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-2_000:]

    def _environment(self, service: dict) -> dict[str, str]:
        """As compose makes it: variables of .env in place, those that must be there among them."""
        made = {"PATH": os.environ["PATH"]}
        for name, value in service.get("environment", {}).items():
            made[name] = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: self.settings[found[1]], value)
        return made

    def _copy(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def _make_secrets(self) -> None:
        folder = self.folder / "secrets"
        folder.mkdir()
        (folder / "auth-secret").write_text(self.secret + "\n")
        (folder / "audit-key").write_text(secrets.token_hex(32) + "\n")
        certificate, key = self.folder / "hub.crt", self.folder / "hub.key"
        # As README.md says.
        request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost".split()
        subprocess.run(
            ["openssl", *request, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL
        )
        (folder / "hub-pem").write_bytes(certificate.read_bytes() + key.read_bytes())

    def _token(self, user: str) -> str:
        claims = {"sub": user, "org": TENANT, "iss": ISSUER, "aud": "carillon", "exp": int(time.time()) + 3_600}
        parts = ({"alg": "HS256", "typ": "JWT"}, claims)
        text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        return f"{text}.{base64url(hmac.digest(self.secret.encode(), text.encode(), hashlib.sha256))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
