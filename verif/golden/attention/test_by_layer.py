"""Names by layer: what a user writes becomes a name for each layer, and tables say it in a line."""

import re

import pytest

from taylorvit.golden.attention.by_layer import by_layer, text_of

NAMES = ("taylor", "softmax")
TRAINED = ("taylor",) * 6


@pytest.mark.parametrize("choices, softmax", [
    ([], []),
    (["all=softmax"], range(6)),
    (["0=softmax"], [0]),
    (["0-2,5=softmax"], [0, 1, 2, 5]),
    (["5,1-1=softmax"], [1, 5]),
    (["all=softmax", "2-3=taylor"], [0, 1, 4, 5]),
    (["2-3=taylor", "all=softmax"], range(6)),
    (["0-4=softmax", "1,3=taylor", "3=softmax"], [0, 2, 3, 4]),
])  # fmt: skip
def test_later_choices_go_over_earlier_ones(choices, softmax):
    wanted = tuple("softmax" if layer in softmax else "taylor" for layer in range(6))
    assert by_layer(choices, TRAINED, names=NAMES) == wanted


def test_layers_that_are_not_named_stay():
    assert by_layer(["1=taylor"], ("softmax", "softmax", "taylor"), names=NAMES) == ("softmax", "taylor", "taylor")


@pytest.mark.parametrize("text, error", [
    ("softmax", "attention must be LAYERS=KERNEL, for example all=softmax or 0-2,5=taylor, not 'softmax'"),
    ("=softmax", "attention must be LAYERS=KERNEL, for example all=softmax or 0-2,5=taylor, not '=softmax'"),
    ("all=", "attention must be LAYERS=KERNEL, for example all=softmax or 0-2,5=taylor, not 'all='"),
    ("all=relu", "attention kernel must be one of taylor, softmax, not 'relu' in 'all=relu'"),
    ("0,=softmax", "layers must be all, or numbers and ranges with commas in between, not '' in '0,=softmax'"),
    ("-1=softmax", "layers must be all, or numbers and ranges with commas in between, not '-1' in '-1=softmax'"),
    ("1-=softmax", "layers must be all, or numbers and ranges with commas in between, not '1-' in '1-=softmax'"),
    ("4-3=softmax", "range of layers must not run backwards, as '4-3' in '4-3=softmax' does"),
    ("2-6=softmax", "layer must be 0 to 5, not 6 in '2-6=softmax'"),
    ("17=softmax", "layer must be 0 to 5, not 17 in '17=softmax'"),
])  # fmt: skip
def test_other_texts_are_refused(text, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        by_layer(["all=taylor", text], TRAINED, names=NAMES)


@pytest.mark.parametrize("softmax, text", [
    ([], "taylor"),
    (range(6), "softmax"),
    ([5], "taylor in 0-4; softmax in 5"),
    ([0, 1, 3], "softmax in 0-1,3; taylor in 2,4-5"),
])  # fmt: skip
def test_names_in_a_line(softmax, text):
    assert text_of(["softmax" if layer in softmax else "taylor" for layer in range(6)]) == text
