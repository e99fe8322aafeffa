"""What the fuzzer begins with and what it found, again and without it (RULES X2)."""

import pytest
from fuzz.corpus import BYTES_MAX, INPUTS_MAX, kept
from fuzz.seeds import seeds
from fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_the_declared_error_comes_out(target: str) -> None:
    inputs = kept(target)
    assert len(inputs) <= INPUTS_MAX
    assert all(len(one) <= BYTES_MAX for one in inputs)
    for data in [*inputs, *seeds(target)]:
        TARGETS[target](data)
