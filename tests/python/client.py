"""The least that a client needs: a session over plain gRPC, with nothing but what grpcio-tools generates."""

import queue

import grpc
from carillon.v1 import admin_service_pb2_grpc, connection_pb2, hub_service_pb2_grpc, session_pb2

# Seconds that a reply or a push may take.
PATIENCE = 30


class Refused(Exception):
    """A command's error; the first argument is its code."""


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def connect(hub) -> grpc.Channel:
    channel = grpc.insecure_channel(hub.address)
    grpc.channel_ready_future(channel).result(PATIENCE)
    return channel


class Service:
    """A service: AdminService, and Execute for a user."""

    def __init__(self, hub, name: str = "service"):
        self.channel = connect(hub)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(self.channel)
        self.hub = hub_service_pb2_grpc.HubServiceStub(self.channel)
        self.metadata = bearer(hub.tokens[name])

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_) -> None:
        self.channel.close()


class Session:
    """One user's session. Pushes wait in order until they are asked for; replies are handed to who asked."""

    def __init__(self, hub, user: str, resume: connection_pb2.Resume | None = None):
        self.channel = self.dial(hub)
        self.requests: queue.SimpleQueue = queue.SimpleQueue()
        self.pushes: list[session_pb2.SessionResponse] = []
        self.next_id = 1
        stub = hub_service_pb2_grpc.HubServiceStub(self.channel)
        self.responses = stub.Session(iter(self.requests.get, None), metadata=bearer(hub.tokens[user]), timeout=300)
        self.connected = self.call(hello=connection_pb2.Hello(protocol=1, client="python", resume=resume)).connected

    def dial(self, hub) -> grpc.Channel:
        return connect(hub)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_) -> None:
        self.requests.put(None)
        self.responses.cancel()
        self.channel.close()

    def begin(self, idempotency_key: bytes = b"", **command) -> int:
        """Sends a command, and gives its id."""
        command_id, self.next_id = self.next_id, self.next_id + 1
        request = session_pb2.SessionRequest(command_id=command_id, idempotency_key=idempotency_key, **command)
        self.requests.put(request)
        return command_id

    def call(self, idempotency_key: bytes = b"", **command) -> session_pb2.SessionResponse:
        """Sends a command and waits for its reply."""
        command_id = self.begin(idempotency_key, **command)
        while (response := self._receive()).command_id != command_id:
            self.pushes.append(response)
        if response.WhichOneof("kind") == "error":
            raise Refused(response.error.code)
        return response

    def push(self, kind: str, room: str | None = None):
        """The next push of this kind, and of this room where one is named; others on the way are dropped."""
        while True:
            response = self.pushes.pop(0) if self.pushes else self._receive()
            push = getattr(response, kind) if response.WhichOneof("kind") == kind else None
            if push is not None and room in (None, getattr(push, "room", None)):
                return push

    def _receive(self) -> session_pb2.SessionResponse:
        """The next response. Pings are answered: a session that is silent for too long is ended."""
        for response in self.responses:
            if response.WhichOneof("kind") != "ping":
                return response
            self.begin(pong=connection_pb2.Pong())
        raise EOFError("the session ended")
