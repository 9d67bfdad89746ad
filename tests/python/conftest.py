"""Stubs from proto/, made anew for each run, and a hub for each test."""

import os
import pathlib
import sys

import grpc_tools
import pytest
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUBS = pathlib.Path(os.environ.get("CARILLON_STUBS", ROOT / "target" / "python-stubs"))


def make_stubs() -> None:
    proto = ROOT / "proto"
    STUBS.mkdir(parents=True, exist_ok=True)
    files = sorted(str(path.relative_to(proto)) for path in proto.glob("carillon/v1/*.proto"))
    standard = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{proto}", f"-I{standard}", f"--python_out={STUBS}", f"--grpc_python_out={STUBS}"]
    if protoc.main([*arguments, *files]) != 0:
        raise RuntimeError("protoc does not accept the protocol's files")


make_stubs()
sys.path.insert(0, str(STUBS))

from process import HubProcess  # noqa: E402  it needs nothing of the stubs, but the tests that import it do


@pytest.fixture
def hub(tmp_path):
    """A hub with the development settings, on free ports, with a data folder of its own."""
    with HubProcess(tmp_path / "data") as hub:
        yield hub
