"""The client guide's examples do what it says: each is run as it stands, but for addresses and tokens."""

import json
import pathlib
import re
import subprocess
import sys
import urllib.request

from process import PATIENCE, ROOT
from websockets.sync.client import connect

GUIDE = (ROOT / "docs" / "client-guide.md").read_text(encoding="utf-8")


def block(text: str) -> str:
    """The fenced block in which this stands."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return next(each for each in blocks if text in each)


def test_what_is_typed_into_a_socket(hub):
    *lines, goodbye = block("typed by hand").replace("TOKEN", hub.tokens["alice"]).splitlines()
    with connect(f"ws://{hub.bridge}/v1/session") as socket:

        def answer(line: str) -> dict:
            socket.send(line)
            while (frame := json.loads(socket.recv(PATIENCE))).get("commandId") != json.loads(line)["commandId"]:
                pass
            return frame

        answers = [set(answer(line)) - {"commandId"} for line in lines]
        assert answers == [{"connected"}, {"joined"}, {"messageSent"}, {"done"}]
        socket.send(goodbye)
        for _ in socket:
            pass
        assert socket.protocol.close_code == 1000


def test_an_event_stream_comes_back_where_it_was(hub):
    post = re.search(r"-d '(.*)'", block("hello from curl")).group(1)
    headers = {"authorization": f"Bearer {hub.tokens['alice']}"}

    def say() -> None:
        request = urllib.request.Request(f"http://{hub.bridge}/v1/commands", post.encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert "messageSent" in json.load(answer)

    def listen(last: str, **more: str) -> tuple[str, list[str]]:
        """Reads until a message has come; gives its id and the seqs that came."""
        address = re.search(r'"(http://127.0.0.1:7422/v1/events[^"]*)"', block(last)).group(1)
        request = urllib.request.Request(address.replace("127.0.0.1:7422", hub.bridge), headers=headers | more)
        place, seqs = "", []
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            for line in stream:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                place = value if name == "id" else place
                message = json.loads(value).get("message") if name == "data" else None
                if message:
                    return place, [*seqs, message["header"]["seq"]]
        raise EOFError("the stream ended")

    say()
    place, seqs = listen("rewind=10")
    assert seqs == ["1"]
    say()
    assert listen("last-event-id: $ID", **{"last-event-id": place})[1] == ["2"]


def test_the_program_in_python(hub, tmp_path):
    program = block("import grpc").replace("127.0.0.1:7420", hub.address)
    (tmp_path / "talk.py").write_text(program, encoding="utf-8")
    stubs = next(pathlib.Path(folder) for folder in sys.path if (pathlib.Path(folder) / "carillon" / "v1").is_dir())
    (tmp_path / "stubs").symlink_to(stubs.resolve(), target_is_directory=True)
    command = [sys.executable, "-u", "talk.py", hub.tokens["bob"]]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "1\n"
            assert process.stdout.readline() == "bob hello from Python\n"
        finally:
            process.kill()
