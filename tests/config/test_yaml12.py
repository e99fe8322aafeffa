"""YAML is read fast, and its values are those of YAML 1.2."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from config.files import parse
from config.yaml12 import NotYaml, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("True", True),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("-5", -5),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("~", None),
        ("", None),
        ("22:30", "22:30"),
        ("2026-01-31", "2026-01-31"),
        ("1.2.3", "1.2.3"),
        ("{0: idle, 1: ready}", {0: "idle", 1: "ready"}),
    ],
)
def test_a_value_is_what_yaml_1_2_says(text, value):
    assert read(text)[1] == value
    assert type(read(text)[1]) is type(value)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("abc:0#-é '\"\n") | st.floats(-9, 9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
    )
)
def test_what_an_edit_writes_is_read_the_same(value):
    written = io.StringIO()
    YAML().dump(value, written)
    assert read(written.getvalue())[1] == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", 1),
        ("a: 1\n b: 2", 2),
        ("a: !!python/object/apply:os.system [ls]", 1),
        ("a: *nothing", 1),
        ("a: 1\n---\nb: 2", 2),
        ("a: \x00", 1),
        ("[" * 100_000 + "]" * 100_000, 1),
        ("\n".join("[" * 1_000), 201),
        ("x: 1\n" + "- " * 100_000, 2),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text, line):
    with pytest.raises(NotYaml) as caught:
        read(text)
    assert caught.value.line == line
    assert str(caught.value)


def test_the_deepest_that_is_read_does_not_end_the_process():
    with pytest.raises(NotYaml):
        read("- " * 1_999 + ":::")
    assert read("- " * 1_000 + "x")[1]


def test_aliases_that_lead_to_one_another_end():
    text = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
    )
    document, problems = parse("x.yaml", text)
    assert problems == []
    assert document.locate(("a39",)) == ("a39", 40)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_a_problem_and_never_an_exception(garbage):
    parse("x.yaml", garbage.decode("utf-8", errors="replace"))
