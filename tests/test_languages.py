import pytest

from mixling.corpora.languages import name, right_to_left, tag
from mixling.errors import MixlingError


@pytest.mark.parametrize(
    "written, expected",
    [
        ("zh", "zh"),
        ("zho", "zh"),
        ("zho_Hans", "zh"),
        ("chinese", "zh"),
        ("zho_Hant", "zh-Hant"),
        ("kor_Hang", "ko"),
        ("eng_Latn", "en"),
        ("es-LA", "es-419"),
        ("ti_ER", "ti-ER"),
        ("twi", "tw"),
        ("swa", "sw"),
        ("amh_Ethi", "am"),
        ("pt-BR", "pt-BR"),
        ("Swahili", "sw"),
        ("german", "de"),
        ("arb_Arab", "ar"),
        ("kin", "rw"),
        ("bem", "bem"),
        ("EN", "en"),
    ],
)
def test_what_people_write_becomes_one_tag(written, expected):
    assert tag(written) == expected
    assert tag(tag(written)) == expected


@pytest.mark.parametrize("written", ["", "xx-??", "klingonish", "12", "q"])
def test_what_is_no_language_is_refused(written):
    with pytest.raises(MixlingError, match="is no language"):
        tag(written)


def test_direction_and_name():
    assert right_to_left("ar") and not right_to_left("sw")
    assert name("sw") == "Swahili"
