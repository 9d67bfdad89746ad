"""kill -9 in the middle of a conversation: what was acknowledged is there, once, in order."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import grpc
from carillon.v1 import common_pb2, connection_pb2, history_pb2, messages_pb2, rooms_pb2
from client import Session

LOBBY = "room:lobby"
# Acknowledged messages before the kill.
ENOUGH = 200
# Seconds.
PATIENCE = 60


def say(person: Session, n: int):
    """Message `n`, under a key of its own: sent again, it is the same message."""
    send = messages_pb2.MessageSend(room=LOBBY, content=common_pb2.Content(text=f"message {n}"))
    return person.call(n.to_bytes(16, "big"), message_send=send).message_sent


def talk_until_killed(hub, acknowledged: dict[int, int], enough: Event) -> None:
    """Sends as fast as answers come, and notes the seq of each that was acknowledged."""
    with Session(hub, "alice") as alice:
        n = 0
        while True:
            try:
                acknowledged[n] = say(alice, n).position.seq
            except (grpc.RpcError, EOFError):
                return
            n += 1
            if n == ENOUGH:
                enough.set()


def heard_by(session: Session, place: connection_pb2.RoomPosition, upto: int) -> list[messages_pb2.Message]:
    """What comes up to this seq; moves `place` along."""
    heard = []
    while place.position.seq < upto:
        message = session.push("message")
        heard.append(message)
        place.position.CopyFrom(
            common_pb2.Position(epoch=message.header.epoch, seq=message.header.seq, tag=message.header.tag)
        )
    return heard


def history(session: Session) -> list[messages_pb2.Message]:
    messages, after, more = [], 0, True
    while more:
        page = session.call(history=history_pb2.HistoryGet(room=LOBBY, after=after, limit=100)).history_page
        messages += [entry.message for entry in page.entries]
        after, more = messages[-1].header.seq, page.more
    return messages


def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(hub):
    acknowledged: dict[int, int] = {}
    enough = Event()
    with Session(hub, "bob") as bob:
        joined = bob.call(join=rooms_pb2.Join(room=LOBBY)).joined
        place = connection_pb2.RoomPosition(room=LOBBY, position=joined.position)
        talker = ThreadPoolExecutor(1).submit(talk_until_killed, hub, acknowledged, enough)
        heard = heard_by(bob, place, ENOUGH // 2)
        assert enough.wait(PATIENCE)
        hub.kill()
        talker.result(PATIENCE)
    assert len(acknowledged) >= ENOUGH

    address = hub.address
    hub.start()
    assert hub.address == address
    with Session(hub, "alice") as alice:
        # What was not answered may have been committed or not: the same key settles it, and what was answered
        # already is answered alike.
        last = max(acknowledged)
        for n in (0, last):
            again = say(alice, n)
            assert (again.duplicate, again.position.seq) == (True, acknowledged[n])
        final = say(alice, last + 1).position.seq
        stored = history(alice)
    with Session(hub, "bob", connection_pb2.Resume(rooms=[place])) as bob:
        resumed = bob.push("joined", LOBBY)
        assert resumed.recovered and not resumed.truncated
        heard += heard_by(bob, place, final)

    assert [message.content.text for message in stored] == [f"message {n}" for n in range(last + 2)]
    assert {n: stored[n].header.seq for n in acknowledged} == acknowledged
    assert [(message.header.seq, message.content.text) for message in heard] == [
        (message.header.seq, message.content.text) for message in stored
    ]
