from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import codec, messages
from bus.codec import Header
from bus.errors import DecodeError
from bus.messages import Array, Deployment, Tick
from bus.topics import TABLE

HEADER = Header(1, 0, 2, 3, codec.type_id(Tick), 0x01020304, 7, 9, 10, 11)


def test_a_frame_is_topic_nul_header_payload_byte_for_byte() -> None:
    frame = codec.encode("/hub/tick", HEADER, Tick(7, 1, 5))
    assert codec.schema_of(Tick) == "Tick(slot:int,frame:int,roster:int)"
    assert frame.hex() == (
        "2f6875622f7469636b"  # /hub/tick
        "00"
        "01000203"  # version, flags, round, attempt
        "4f4ae4ba"  # type id
        "04030201"  # instance
        "07000000"  # slot
        "0900000000000000"  # sequence
        "0a00000000000000"  # t_sim_ns
        "0b00000000000000"  # t_wall_ns
        "93070105"  # msgpack [7, 1, 5]
    )


def test_a_deployment_is_golden_msgpack() -> None:
    assert codec.encode_payload(Deployment(3, 2, (0, 5, 200))).hex() == "93030293" + "00" + "05" + "ccc8"


def test_an_array_crosses_as_type_shape_and_raw_bytes() -> None:
    values = np.arange(6, dtype="<f8").reshape(2, 3)
    payload = codec.encode_payload(Array.of(values))
    assert payload == b"\x93\xa3<f8\x92\x02\x03\xc4\x30" + values.tobytes()
    np.testing.assert_array_equal(codec.decode(payload, Array).numpy(), values)


def test_type_ids_of_the_topic_table_differ() -> None:
    types = {row.message for row in TABLE.rows}
    assert len({codec.type_id(t) for t in types}) == len(types)


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.lists(st.integers(0, 2**31), max_size=40),
)
def test_what_was_encoded_comes_back(
    round_: int, attempt: int, slot: int, sequence: int, t_sim_ns: int, services: list[int]
) -> None:
    header = Header(1, 0, round_, attempt, 5, 6, slot, sequence, t_sim_ns, 8)
    message = Deployment(1, 2, tuple(services))
    topic, found, payload = codec.split(codec.encode("/agent/1/deployment", header, message))
    assert (topic, found, codec.decode(payload, Deployment)) == ("/agent/1/deployment", header, message)


@settings(deadline=None)  # a busy machine takes its time
@given(st.integers(0, 53))
def test_a_truncated_frame_is_a_decode_error(length: int) -> None:
    frame = codec.encode("/hub/tick", HEADER, Tick(7, 1, 5))
    with pytest.raises(DecodeError):
        codec.decode(codec.split(frame[: min(length, len(frame) - 1)])[2], Tick)


@settings(deadline=None)  # a busy machine takes its time
@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_a_decode_error(data: bytes) -> None:
    for message_type in (Tick, messages.Outcome, messages.Graph, messages.Call):
        with contextlib.suppress(DecodeError):
            codec.decode(codec.split(data)[2], message_type)


@settings(deadline=None)  # a busy machine takes its time
@given(st.binary(max_size=200))
def test_any_payload_decodes_or_raises_a_decode_error(data: bytes) -> None:
    for message_type in (Tick, messages.Outcome, messages.Graph, messages.Call):
        with contextlib.suppress(DecodeError):
            codec.decode(data, message_type)


def test_another_version_is_refused() -> None:
    with pytest.raises(DecodeError, match="version 2, not 1"):
        codec.split(codec.encode("/hub/tick", HEADER._replace(version=2), Tick(7, 1, 5)))


def test_wire_bytes_follow_zmtp() -> None:
    assert codec.wire_bytes(255) == 257
    assert codec.wire_bytes(256) == 265
