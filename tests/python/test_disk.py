"""A disk that takes no more: nothing is acknowledged that is not there, and the hub ends, so that whoever watches over it starts
another one."""

import uuid

import grpc
import pytest
from carillon.v1 import common_pb2, history_pb2, messages_pb2
from client import Refused, Session
from process import HubProcess

LOBBY = "room:lobby"
# No file may grow past this many blocks, of half a kilobyte or a whole one; to write beyond is an error and kills nobody.
FULL = """trap '' XFSZ; ulimit -f 4000; exec "$0" "$@" """
WORDS = "x" * 8_000


def say(person: Session) -> int:
    send = messages_pb2.MessageSend(room=LOBBY, content=common_pb2.Content(text=WORDS))
    return person.call(uuid.uuid4().bytes, message_send=send).message_sent.position.seq


def test_a_hub_whose_disk_is_full_ends_and_keeps_what_it_acknowledged(tmp_path):
    with HubProcess(tmp_path) as hub:
        hub.starter = ["sh", "-c", FULL]
        hub.kill()
        hub.start()
        acknowledged = []
        with pytest.raises((Refused, grpc.RpcError, EOFError)), Session(hub, "alice") as alice:
            while True:
                acknowledged.append(say(alice))
        assert hub.end() == 1, "it did not end in order"
        hub.starter = []
        hub.start()
        with Session(hub, "alice") as alice:
            page = alice.call(history=history_pb2.HistoryGet(room=LOBBY, limit=10)).history_page
            assert len(acknowledged) > 10
            newest = page.entries[-1].message
            assert newest.header.seq >= acknowledged[-1] and newest.content.text == WORDS
