"""Registers to values and back: types, orders, scales, enums, what is undefined."""

import struct
from typing import Any

import pytest
from fixtures.modbus_profiles import made
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import Row, row_of
from gateway.domain.errors import MalformedError
from gateway.domain.points import Value


def row(value: str = "int", **columns: Any) -> Row:
    columns = {"table": "holding", "address": 10, **columns}
    return row_of(made({"points": {"x": {"value": value, **columns}}}).points["x"])


def decoded(one: Row, data: str, base: int = 10) -> Value | None:
    return one.decoder(base)(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("type_", "data", "value"),
    [
        ("u16", "fffe", 65_534),
        ("i16", "fffe", -2),
        ("u32", "0001 0000", 65_536),
        ("i32", "ffff fffe", -2),
        ("u64", "0000 0001 0000 0000", 1 << 32),
        ("i64", "ffff ffff ffff fffe", -2),
    ],
)
def test_whole_numbers(type_: str, data: str, value: int) -> None:
    assert decoded(row(type=type_), data) == value


@pytest.mark.parametrize(("type_", "data"), [("f32", "43663333"), ("f64", "406cc66666666666")])
def test_real_numbers(type_: str, data: str) -> None:
    assert decoded(row("float", type=type_), data) == pytest.approx(230.2, abs=1e-5)


# IEEE 754 single of 123456.0 is 47F12000; the four orders in which devices send it
@pytest.mark.parametrize(
    ("word_order", "byte_order", "data"),
    [
        ("big", "big", "47F1 2000"),
        ("little", "big", "2000 47F1"),
        ("big", "little", "F147 0020"),
        ("little", "little", "0020 F147"),
    ],
)
def test_word_and_byte_order(word_order: str, byte_order: str, data: str) -> None:
    one = row("float", type="f32", word_order=word_order, byte_order=byte_order)
    assert decoded(one, data) == 123_456.0
    assert one.encode(123_456.0) == bytes.fromhex(data)


def test_the_value_is_found_at_its_address_in_a_longer_read() -> None:
    assert decoded(row(address=12, type="u32"), "0000 0000 0001 0002 ffff", base=10) == 0x10002
    little = row(address=12, type="u32", word_order="little")
    assert decoded(little, "0000 0000 0002 0001 ffff", base=10) == 0x10002


def test_a_scaled_whole_number_has_the_digits_of_its_scale() -> None:
    assert decoded(row("float", scale=0.1), "08ff") == 230.3
    assert decoded(row("int", type="u32", scale=10), "0000 0005") == 50
    assert row("float", scale=0.1).encode(230.3) == bytes.fromhex("08ff")


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("u16", "ffff"),
        ("u32", "ffff ffff"),
        ("u64", "ffff ffff ffff ffff"),
        ("i16", "7fff"),
        ("i16", "8000"),
        ("i32", "7fff ffff"),
        ("i64", "7fff ffff ffff ffff"),
        ("f32", "7fc0 0000"),
        ("f32", "ffff ffff"),
        ("f32", "7f80 0000"),
        ("f64", "7ff8 0000 0000 0000"),
    ],
)
def test_undefined_numbers_are_missing(type_: str, data: str) -> None:
    assert decoded(row("float", type=type_), data) is None


def test_a_row_may_say_what_is_undefined() -> None:
    assert decoded(row(undefined=[]), "ffff") == 65_535
    assert decoded(row(undefined=[0]), "0000") is None


def test_what_is_implausible_is_missing() -> None:
    one = row("float", type="f32", limits=[0, 500])
    assert decoded(one, struct.pack(">f", 3e9).hex()) is None
    assert decoded(one, struct.pack(">f", 230.0).hex()) == 230.0


def test_bits_of_a_register() -> None:
    assert decoded(row("bool", bit=2), "0004") is True
    assert decoded(row("bool", bit=2), "fffb") is False
    assert decoded(row("int", type="u32", bit=8, bits=7), "0000 8400") == 4
    assert decoded(row("bool", bit=15), "ffff") is True  # all ones is a state here


def test_enums_and_their_unknown_values() -> None:
    states = row("text", enum={1: "locked", 2: "unlocked"})
    assert decoded(states, "0001") == "locked"
    assert decoded(states, "0009") is None
    assert states.encode("unlocked") == b"\0\2"
    with pytest.raises(MalformedError, match="expected one of 'locked', 'unlocked', found 'ajar'"):
        states.encode("ajar")


def test_a_bool_in_a_register_is_0_or_1_and_nothing_else() -> None:
    assert [decoded(row("bool"), data) for data in ("0000", "0001", "0002")] == [False, True, None]


def test_text_ends_at_its_first_zero_and_is_ascii_or_missing() -> None:
    assert decoded(row("text", type="text", words=3), "4332 0000 ffff") == "C2"
    assert decoded(row("text", type="text", words=2, byte_order="little"), "3243 0020") == "C2"
    assert decoded(row("text", type="text", words=2), "ff32 0000") is None


def test_text_may_be_named_and_what_has_no_name_is_missing() -> None:
    one = row("text", type="text", words=1, enum={"B2": "connected", "C2": "charging"})
    assert [decoded(one, data) for data in ("4232", "4332", "5a5a")] == [
        "connected",
        "charging",
        None,
    ]
    assert one.encode("charging") == b"C2"


def test_a_row_may_mean_something_else_by_the_value_of_another() -> None:
    one = row("int", by="fine", scale={False: 1_000, True: 10})
    assert one.by == "fine"
    assert [one.variants[fine].decoder(10)(b"\x06\x40") for fine in (False, True)] == [
        1_600_000,
        16_000,
    ]
    states = row("text", by="there", enum={0: {1: "available"}, 1: {1: "connected"}})
    assert [states.variants[there].decoder(10)(b"\0\1") for there in (0, 1)] == [
        "available",
        "connected",
    ]


def test_coils_and_inputs_are_packed_from_the_lowest_bit() -> None:
    for address, value in ((10, True), (11, False), (18, True)):
        assert decoded(row("bool", table="discrete", address=address), "0101") is value
    assert row("bool", table="coil").encode(True) == b"\1"


@pytest.mark.parametrize(("type_", "value"), [("u16", -1), ("u16", 70_000), ("i16", 40_000)])
def test_what_does_not_fit_is_refused(type_: str, value: int) -> None:
    with pytest.raises(MalformedError, match="does not fit"):
        row(type=type_).encode(value)


@given(
    st.sampled_from(["u16", "i16", "u32", "i32", "u64", "i64"]),
    st.sampled_from(["big", "little"]),
    st.sampled_from(["big", "little"]),
    st.data(),
)
def test_what_is_encoded_decodes_to_itself(
    type_: str, word_order: str, byte_order: str, data: st.DataObject
) -> None:
    bits = int(type_[1:])
    signed = type_[0] == "i"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    value = data.draw(st.integers(low, high))
    one = row(type=type_, word_order=word_order, byte_order=byte_order, undefined=[])
    assert one.decoder(10)(one.encode(value)) == value


def test_a_number_that_its_scale_takes_beyond_all_numbers_is_none() -> None:
    """X2: never infinity, never an exception."""
    for value in ("float", "int"):
        assert decoded(row(value, type="f64", scale=1_000), "7fe0000000000000") is None
