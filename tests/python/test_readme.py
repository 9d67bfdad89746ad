"""What the README tells a newcomer to do, in terminals: a hub, two people who chat, and kill -9 in between."""

from terminal import Terminal


def serve(folder, address: str) -> Terminal:
    return Terminal(folder, "serve", "--dev", "--grpc", address, "--http", "127.0.0.1:0", "--bridge", "127.0.0.1:0")


def test_a_newcomers_first_minutes(tmp_path):
    with serve(tmp_path, "127.0.0.1:0") as hub:
        address = hub.shows("gRPC at ", ",").split()[-1].removesuffix(",")
        hub.shows("carillon chat", "--as alice", "carillon chat", "--as bob")
        with (
            Terminal(tmp_path, "chat", "room:lobby", "--as", "alice") as alice,
            Terminal(tmp_path, "chat", "room:lobby", "--as", "bob") as bob,
        ):
            for person in (alice, bob):
                person.shows("room:lobby", "/help")
            alice.type("hello bob")
            bob.shows("alice", "hello bob")
            bob.type("hello alice")
            alice.shows("bob", "hello alice")

            hub.process.kill()
            hub.process.wait()
            alice.type("said while it is down")
            with serve(tmp_path, address) as hub:
                hub.shows(f"gRPC at {address}")
                bob.shows("alice", "said while it is down")
                bob.type("back again")
                alice.shows("bob", "back again")

                with Terminal(tmp_path, "history", "room:lobby", "--as", "bob") as history:
                    shown = history.shows("hello bob", "hello alice", "said while it is down", "back again")
                    for words in ("hello bob", "hello alice", "said while it is down", "back again"):
                        assert shown.count(words) == 1
                with Terminal(tmp_path, "notify", "--user", "bob", "Your table is ready", "--as", "service") as notify:
                    assert notify.process.wait(30) == 0
                bob.shows("Your table is ready")
