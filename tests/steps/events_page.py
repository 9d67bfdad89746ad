#!/usr/bin/env python3
"""Writes docs/events.md, the catalogue of commands, replies and pushes, from the comments of the protocol's files.

tests/steps/events_page.py           writes it
tests/steps/events_page.py --check   says whether it is current
"""

import pathlib
import re
import sys
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto" / "carillon" / "v1"
PAGE = ROOT / "docs" / "events.md"

# The areas, each a file, in the order in which a reader meets them.
AREAS = [
    ("connection", "Session"),
    ("rooms", "Rooms"),
    ("history", "History"),
    ("conversations", "Conversations"),
    ("messages", "Messages, marks, typing"),
    ("presence", "Presence"),
    ("events", "Events"),
    ("inbox", "Inbox"),
    ("common", "What they share"),
]

PREAMBLE = """\
# Commands, replies and pushes

Made from the comments of `proto/carillon/v1` by `tests/steps/events_page.py`: change those, then run it.

Names are those of the JSON form; protobuf and the gRPC stubs write the same in snake_case (`messageSend` is
`message_send`). In JSON a frame is one object, such as `{"commandId": 7, "typing": {"room": "room:lobby", "active":
true}}`: the command's name is the field, and its fields are inside. 64-bit numbers are written as strings and read as
either, bytes are base64, enums are their names (a value that the writer does not know is its number, and numbers are
read too), what is unset or zero is left out. The hub refuses fields and names of values that it does not know, with the
field's name; clients ignore what they do not know.
[The client guide](client-guide.md) says what to do with them, [errors](errors.md) what can go wrong.
"""


@dataclass
class Field:
    """A field of a message, or a value of an enum."""

    name: str
    kind: str
    comment: str
    choice: str = ""


@dataclass
class Type:
    """A message or an enum."""

    name: str
    area: str
    is_enum: bool
    comment: str
    fields: list[Field] = field(default_factory=list)


@dataclass
class Kind:
    """A field of a frame: a command, a reply or a push."""

    name: str
    type: str
    comment: str


def camel(name: str) -> str:
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def prose(comment: str) -> str:
    """A comment with its fields, which stand between backticks, as JSON names them."""
    return re.sub(r"`([A-Za-z_.]+)`", lambda match: f"`{camel(match[1])}`", comment)


OPENS = re.compile(r"^(message|enum|oneof) (\w+) \{(\})?$")
FIELD = re.compile(r"^(optional |repeated )?([\w.]+|map<\w+, \w+>) (\w+) = \d+;$")
VALUE = re.compile(r"^(\w+) = \d+;$")


def read(area: str) -> dict[str, Type]:
    """The types of one file. The files are written as `buf format` leaves them, a statement a line."""
    types: dict[str, Type] = {}
    now: Type | None = None
    choice, comment = "", []
    for line in (PROTO / f"{area}.proto").read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
            continue
        said, comment = " ".join(comment), []
        if opened := OPENS.match(line):
            word, name, closed = opened.groups()
            if word == "oneof":
                choice = f"{name}: {said}" if said else name
            else:
                now = types[name] = Type(name, area, word == "enum", said)
                now = None if closed else now
        elif line == "}":
            now, choice = (now, "") if choice else (None, "")
        elif now and now.is_enum and (value := VALUE.match(line)):
            now.fields.append(Field(value[1], "", said))
        elif now and (found := FIELD.match(line)):
            label, kind, name = found.groups()
            now.fields.append(Field(name, (label or "") + kind, said, choice))
        elif now and line:
            sys.exit(f"{area}.proto: cannot be understood: {line}")
    return types


def conventions() -> list[str]:
    """The list at the head of common.proto: what names and units mean everywhere."""
    head = (PROTO / "common.proto").read_text(encoding="utf-8").split("package ")[0]
    lines = [line.removeprefix("//").strip() for line in head.splitlines() if line.startswith("//")]
    items = [prose(item) for item in "\n".join(lines).split("\n- ")[1:]]
    return ["\n".join(["- " + item.replace("*_ms", "*Ms").replace("\n", "\n  ") for item in items]) + "\n"]


def frame(types: dict[str, Type], name: str) -> dict[str, Kind]:
    """What the oneof of a frame carries, by name."""
    fields = [each for each in types[name].fields if each.choice]
    return {each.name: Kind(each.name, each.kind, each.comment) for each in fields}


def anchor(name: str) -> str:
    return name.lower()


def cell(text: str) -> str:
    return prose(text).replace("|", "\\|")


class Page:
    def __init__(self):
        self.types: dict[str, Type] = {}
        for area, _ in AREAS:
            self.types |= read(area)
        frames = read("session")
        calls = read("hub_service")
        self.frames = [frames["SessionRequest"], frames["SessionResponse"]]
        self.commands = frame(frames, "SessionRequest")
        self.answers = frame(frames, "SessionResponse")
        self.without_session = set(frame(calls, "ExecuteRequest"))
        self.framed = {kind.type for kind in [*self.commands.values(), *self.answers.values()]}

    def text(self) -> str:
        parts = [PREAMBLE, *conventions(), self.overview(), "## The two frames\n"]
        for each in self.frames:
            own = Type(each.name, each.area, False, each.comment, [part for part in each.fields if not part.choice])
            parts += [f"### {each.name}\n\n{prose(each.comment)}\n", self.fields(own)]
        for area, title in AREAS:
            parts.append(f"## {title}\n")
            for name, kind in self.commands.items():
                if self.types[kind.type].area == area:
                    parts.append(self.command(name, kind))
            for name, kind in self.answers.items():
                if self.types[kind.type].area == area:
                    parts.append(self.answer(name, kind))
            for each in self.types.values():
                if each.area == area and each.name not in self.framed:
                    parts.append(f"### {each.name}\n\n{prose(each.comment)}\n")
                    parts.append(self.fields(each))
        return "\n".join(part for part in parts if part)

    def overview(self) -> str:
        """Every name on one screen."""
        lines = ["| area | commands | replies | pushes |", "|---|---|---|---|"]
        for area, title in AREAS:
            own = [(name, kind) for name, kind in self.answers.items() if self.types[kind.type].area == area]
            pushes = [name for name, kind in own if "push" in kind.comment.lower()]
            replies = [name for name, kind in own if kind.comment.startswith("Reply")]
            commands = [name for name, kind in self.commands.items() if self.types[kind.type].area == area]
            columns = [self.links(commands, "command"), self.links(replies, "answer"), self.links(pushes, "answer")]
            lines.append(f"| {title} | " + " | ".join(columns) + " |")
        return "\n".join(lines) + "\n"

    def links(self, names: list[str], role: str) -> str:
        return ", ".join(f"[`{camel(name)}`](#{anchor(self.heading(name, role))})" for name in names)

    def heading(self, name: str, role: str) -> str:
        """A name that both sides say is told apart by who says it."""
        twice = name in self.commands and name in self.answers
        if twice and role == "answer":
            role = "reply" if self.answers[name].comment.startswith("Reply") else "push"
        return f"{camel(name)}-{role}" if twice else camel(name)

    def command(self, name: str, kind: Kind) -> str:
        kept = self.types[kind.type]
        without = " Also without a session." if name in self.without_session else ""
        head = f"### {self.heading(name, 'command')}\n\n**Command.** {prose(kept.comment)}\n\n{prose(kind.comment)}"
        return f"{head}{without}\n\n{self.fields(kept)}".rstrip() + "\n"

    def answer(self, name: str, kind: Kind) -> str:
        kept = self.types[kind.type]
        head = f"### {self.heading(name, 'answer')}\n\n**{prose(kind.comment).rstrip('.')}.** {prose(kept.comment)}"
        return f"{head}\n\n{self.fields(kept)}".rstrip() + "\n"

    def fields(self, of: Type) -> str:
        if not of.fields:
            return ""
        if of.is_enum:
            rows = [f"| `{value.name}` | {cell(value.comment)} |" for value in of.fields]
            return "\n".join(["| value | meaning |", "|---|---|", *rows]) + "\n"
        rows = [f"| `{camel(each.name)}` | {self.kind(each.kind)} | {self.meaning(each)} |" for each in of.fields]
        return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows]) + "\n"

    def meaning(self, of: Field) -> str:
        name, _, said = of.choice.partition(": ")
        one = f"(One of `{name}`{': ' + cell(said).rstrip('.') if said else ''}.) " if of.choice else ""
        return one + cell(of.comment)

    def kind(self, kind: str) -> str:
        """A field's type, with a link where it is a type of ours."""
        label, _, name = kind.rpartition(" ")
        if kind.startswith("map<"):
            return "map of strings" if kind == "map<string, string>" else f"`{kind}`"
        shown = f"[{name}](#{self.anchor_of(name)})" if name in self.types else name
        return {"repeated": f"list of {shown}", "optional": f"{shown}, may be unset"}.get(label, shown)

    def anchor_of(self, type_name: str) -> str:
        for role, kinds in (("command", self.commands), ("answer", self.answers)):
            for name, kind in kinds.items():
                if kind.type == type_name:
                    return anchor(self.heading(name, role))
        return anchor(type_name)


def main() -> None:
    text = Page().text()
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/events.md is not what the protocol's files say: run tests/steps/events_page.py")
        print("docs/events.md is current")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
