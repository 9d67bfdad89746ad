"""Two users and a service talk through a hub over plain gRPC."""

import uuid

import grpc
import pytest
from carillon.v1 import (
    admin_rooms_pb2,
    admin_send_pb2,
    common_pb2,
    connection_pb2,
    conversations_pb2,
    history_pb2,
    hub_service_pb2,
    inbox_pb2,
    messages_pb2,
    rooms_pb2,
)
from client import Refused, Service, Session

LOBBY = "room:lobby"


def text(words: str) -> common_pb2.Content:
    return common_pb2.Content(text=words)


def send(words: str, room: str = LOBBY) -> messages_pb2.MessageSend:
    return messages_pb2.MessageSend(room=room, content=text(words))


def test_two_users_talk_and_both_see_one_order(hub):
    with Session(hub, "alice") as alice, Session(hub, "bob") as bob:
        assert (alice.connected.user, alice.connected.tenant) == ("alice", "dev")
        for person in (alice, bob):
            assert not person.call(join=rooms_pb2.Join(room=LOBBY)).joined.truncated
        for n in range(1, 41):
            speaker = alice if n % 2 else bob
            sent = speaker.call(message_send=send(f"message {n}")).message_sent
            assert (sent.position.seq, sent.duplicate) == (n, False)
        for listener in (alice, bob):
            heard = [listener.push("message") for _ in range(40)]
            assert [message.header.seq for message in heard] == list(range(1, 41))
            assert [message.content.text for message in heard] == [f"message {n}" for n in range(1, 41)]
            assert [message.header.sender for message in heard] == ["alice", "bob"] * 20

        page = bob.call(history=history_pb2.HistoryGet(room=LOBBY, after=30, limit=100)).history_page
        assert [entry.message.header.seq for entry in page.entries] == list(range(31, 41))
        assert (page.as_of.seq, page.more) == (40, False)


def test_what_is_said_while_a_user_is_away_waits(hub):
    with Session(hub, "bob") as bob:
        joined = bob.call(join=rooms_pb2.Join(room=LOBBY)).joined
        place = connection_pb2.RoomPosition(room=LOBBY, position=joined.position)
        inbox = bob.connected.inbox
    with Session(hub, "alice") as alice:
        for n in range(5):
            alice.call(message_send=send(f"while you were out {n}"))
    with Service(hub) as service:
        notice = admin_send_pb2.SendNotificationRequest(
            tenant="dev",
            idempotency_key=uuid.uuid4().bytes,
            users=admin_send_pb2.UserList(users=["bob"]),
            kind="reminder",
            title="a notice",
            priority=inbox_pb2.NOTIFICATION_PRIORITY_HIGH,
        )
        first = service.admin.SendNotification(notice, metadata=service.metadata)
        again = service.admin.SendNotification(notice, metadata=service.metadata)
        assert (first.duplicate, again.duplicate, first.id) == (False, True, again.id)
    with Session(hub, "bob", connection_pb2.Resume(rooms=[place], inbox=inbox)) as bob:
        assert bob.connected.inbox_unread == 1
        assert bob.push("notification").title == "a notice"
    with Session(hub, "bob", connection_pb2.Resume(rooms=[place], inbox=inbox)) as bob:
        assert not bob.push("joined", LOBBY).truncated
        assert [bob.push("message").content.text for _ in range(5)] == [f"while you were out {n}" for n in range(5)]


def test_a_service_makes_a_room_and_its_members_alone_see_it(hub):
    with Service(hub) as service:
        members = [conversations_pb2.Member(user="alice", role=common_pb2.ROLE_OWNER)]
        made = service.admin.CreateRoom(
            admin_rooms_pb2.CreateRoomRequest(tenant="dev", room="conversation:case-7", members=members),
            metadata=service.metadata,
        )
        assert made.room.members == 1
        sent = service.admin.SendMessage(
            admin_send_pb2.SendMessageRequest(tenant="dev", room="conversation:case-7", content=text("a first word")),
            metadata=service.metadata,
        )
    with Session(hub, "alice") as alice, Session(hub, "bob") as bob:
        assert [room.room for room in alice.connected.unread] == ["conversation:case-7"]
        page = alice.call(history=history_pb2.HistoryGet(room="conversation:case-7")).history_page
        assert page.as_of.seq == sent.position.seq
        assert page.entries[-1].message.content.text == "a first word"
        with pytest.raises(Refused, match="ACCESS_DENIED|NOT_FOUND"):
            bob.call(join=rooms_pb2.Join(room="conversation:case-7"))
        # An error ends no session.
        bob.call(message_send=send("still here"))


def test_one_command_without_a_session(hub):
    with Service(hub, "alice") as alice:
        request = hub_service_pb2.ExecuteRequest(idempotency_key=uuid.uuid4().bytes, message_send=send("once"))
        first = alice.hub.Execute(request, metadata=alice.metadata).message_sent
        again = alice.hub.Execute(request, metadata=alice.metadata).message_sent
        assert (first.duplicate, again.duplicate, first.position) == (False, True, again.position)

        with pytest.raises(grpc.RpcError) as refused:
            alice.hub.Execute(hub_service_pb2.ExecuteRequest(message_send=send("", "not a room")), metadata=alice.metadata)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as refused:
            alice.hub.Execute(request, metadata=[("authorization", "Bearer nonsense")])
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as refused:
            alice.admin.SendMessage(admin_send_pb2.SendMessageRequest(tenant="dev"), metadata=alice.metadata)
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_bad_token_is_answered_and_the_stream_ends(hub):
    hub.tokens["eve"] = hub.tokens["alice"][:-3] + "AAA"
    with pytest.raises((Refused, grpc.RpcError)) as refused:
        Session(hub, "eve")
    assert "INVALID_TOKEN" in str(refused.value) or refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_sigterm_says_goodbye_and_exits_with_0(hub):
    with Session(hub, "alice") as alice:
        alice.call(join=rooms_pb2.Join(room=LOBBY))
        alice.call(message_send=send("before the stop"))
        hub.process.terminate()
        assert alice.push("going_away").reconnect_after_ms >= 0
    assert hub.process.wait(30) == 0
