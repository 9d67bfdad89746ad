"""deploy/: what it starts is one hub, which the death of nodes does not end."""

import asyncio
import contextlib
import json
import re
import uuid

import grpc
import pytest
from carillon.v1 import common_pb2, connection_pb2, conversations_pb2, messages_pb2
from client import Refused, Session
from deployment import DEPLOY, NODES, ORIGIN, Deployment, compose, mounted
from process import PATIENCE
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed


@pytest.fixture
def deployed(tmp_path):
    with Deployment(tmp_path) as deployment:
        yield deployment


class OverTls(Session):
    """A session through the balancer."""

    def dial(self, hub: Deployment) -> grpc.Channel:
        channel = grpc.secure_channel(hub.address, grpc.ssl_channel_credentials(hub.certificate()))
        grpc.channel_ready_future(channel).result(PATIENCE)
        return channel


class Browser:
    """A page's session: JSON over a WebSocket. It is read and written by one thread: Python's TLS takes no two at once (what the
    server sends after the handshake keeps the other's request back, once in some hundred)."""

    def __init__(self, hub: Deployment, user: str, resume: dict | None = None):
        self.hub = hub
        self.hello = {"token": hub.tokens[user], "protocol": 1, "client": "page"}
        self.hello |= {"resume": resume} if resume else {}
        self.commands = 0
        self.pushes: list[dict] = []

    def __enter__(self) -> "Browser":
        with contextlib.ExitStack() as opened:
            self.loop = opened.enter_context(asyncio.Runner())
            self.socket = self.loop.run(self.connect())
            opened.callback(lambda: self.loop.run(self.socket.close()))
            self.call(hello=self.hello)
            self.opened = opened.pop_all()
        return self

    def __exit__(self, *why) -> None:
        self.opened.close()

    async def connect(self):
        return await open_socket(
            f"wss://{self.hub.address}/v1/session",
            ssl=self.hub.trust(),
            origin=ORIGIN,
            subprotocols=["carillon.v1.json"],
            open_timeout=PATIENCE,
        )

    async def next(self) -> dict:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.socket.recv())

    def call(self, **command) -> dict:
        self.commands += 1
        self.loop.run(self.socket.send(json.dumps({"commandId": self.commands, **command})))
        while (response := self.loop.run(self.next())).get("commandId") != self.commands:
            self.pushes.append(response)
        assert "error" not in response, response
        return response

    def hears(self, words: str) -> None:
        """Reads on until these words come."""
        while True:
            push = self.pushes.pop(0) if self.pushes else self.loop.run(self.next())
            if push.get("message", {}).get("content", {}).get("text") == words:
                return


def say(person: Session, room: str, words: str) -> int:
    send = messages_pb2.MessageSend(room=room, content=common_pb2.Content(text=words))
    return person.call(uuid.uuid4().bytes, message_send=send).message_sent.position.seq


def talk(alice: Session, bob: Browser) -> str:
    """A conversation in which he has heard her."""
    create = conversations_pb2.ConversationCreate(members=[conversations_pb2.Member(user="bob")])
    room = alice.call(uuid.uuid4().bytes, conversation_create=create).conversation_created.room
    bob.call(join={"room": room})
    say(alice, room, "here we are")
    bob.hears("here we are")
    return room


def test_the_compose_file_is_whole():
    described = compose()
    services = described["services"]
    nodes = [services[node] for node in NODES]
    assert all(node == nodes[0] for node in nodes), "all nodes are alike"
    assert set(services) == {*NODES, "redis", "balancer"}
    published = [name for name, service in services.items() if "ports" in service]
    assert published == ["balancer"], "nothing else is reached from outside"
    for name, service in services.items():
        assert all(file.is_file() for file in mounted(service).values()), name
        assert set(service.get("secrets", [])) <= set(described["secrets"]), name
        named = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith("./")}
        assert named <= set(described["volumes"]), name
    # What is asked of the environment stands in the example.
    wanted = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    example = {line.split("=")[0] for line in (DEPLOY / "env.example").read_text().splitlines() if "=" in line[:20]}
    assert wanted == {name for name in example if not name.startswith("#")}
    # Secrets are where the settings look for them, and the balancer where nodes believe it.
    settings = (DEPLOY / "carillon.toml").read_text()
    assert set(re.findall(r"/run/secrets/([\w-]+)", settings)) == set(nodes[0]["secrets"])
    believed = set(re.findall(r'trusted_proxies = \["(.*)"\]', settings))
    assert believed == {services["balancer"]["networks"]["inside"]["ipv4_address"]}
    assert nodes[0]["build"]["dockerfile"] == "deploy/Dockerfile"
    drain = int(nodes[0]["stop_grace_period"].removesuffix("s"))
    assert drain > 10, "longer than session.drain_timeout"


def test_nodes_are_one_hub_behind_the_balancer_and_some_may_die(deployed):
    with OverTls(deployed, "alice") as alice, contextlib.ExitStack() as tabs:
        create = conversations_pb2.ConversationCreate(members=[conversations_pb2.Member(user="bob")])
        created = alice.call(uuid.uuid4().bytes, conversation_create=create)
        room = created.conversation_created.room
        [of_alice] = deployed.nodes_with_sessions()
        # The balancer gives each node one of three.
        bobs = [tabs.enter_context(Browser(deployed, "bob")) for _ in NODES]
        assert deployed.nodes_with_sessions() == list(NODES)
        positions = [bob.call(join={"room": room})["joined"]["position"] for bob in bobs]
        seq = say(alice, room, "from one node to all")
        for bob in bobs:
            bob.hears("from one node to all")

        # Her node dies under her and one of the others' tabs; the balancer has another for both.
        deployed.kill(of_alice)
        with pytest.raises((grpc.RpcError, EOFError)):
            while True:
                alice.push("message")
        with OverTls(deployed, "alice") as again:
            assert say(again, room, "still here") == seq + 1
        lost = []
        for bob, position in zip(bobs, positions, strict=True):
            try:
                bob.hears("still here")
            except ConnectionClosed:
                lost.append(position)
        assert len(lost) == 1
        resume = {"rooms": [{"room": room, "position": lost[0]}]}
        with Browser(deployed, "bob", resume) as back:
            back.hears("from one node to all")
            back.hears("still here")

        # It comes back, and is one of them again.
        deployed.start_node(of_alice)
        deployed.until("it is given somebody", lambda: gets_somebody(deployed, of_alice))
    for node in NODES:
        assert deployed.left_behind(node) == [], "a node keeps nothing beside Redis"


def gets_somebody(deployed: Deployment, node: str) -> bool:
    with Browser(deployed, "alice"):
        return node in deployed.nodes_with_sessions()


def test_redis_is_closed_to_who_does_not_know_the_password(deployed):
    deployed.settings["REDIS_PASSWORD"] = "another"
    deployed.kill("node3")
    with pytest.raises(AssertionError, match="node3 has ended"):
        deployed.start_node("node3")


def test_nodes_whose_redis_is_away_get_nobody_new_and_keep_whom_they_have(deployed):
    with OverTls(deployed, "alice") as alice, Browser(deployed, "bob") as bob:
        room = talk(alice, bob)
        deployed.kill("redis")
        for node in NODES:
            deployed.until(f"{node} is not ready", lambda node=node: deployed.ask(node, "/health/ready")[0] == 503)
        deployed.until("the balancer has nobody", lambda: deployed.through_balancer("/v1/session") == 503)
        alice.call(ping=connection_pb2.Ping())
        assert "pong" in bob.call(ping={})
        with pytest.raises(Refused, match="UNAVAILABLE"):
            say(alice, room, "nobody has this")
