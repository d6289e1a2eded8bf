"""Folder and date above the picture: whatever is shortened, patient and site stay readable."""

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.overlay.header import MOST_FOLDERS, PLACE_LINES, OverlayText, draw_header, place_lines
from runtime.overlay.lettering import Style, shorten, text_width

STYLE = Style(22, 600, (255, 255, 255))
DATE = "2026-12-01 14:05"


def test_folder_and_date_stand_on_one_line_where_they_fit() -> None:
    assert place_lines(("Subject 1", "Forearm left"), DATE, STYLE, 1000) == [f"Subject 1 / Forearm left   {DATE}"]
    assert place_lines((), DATE, STYLE, 1000) == [DATE]
    assert place_lines(("Subject 1",), "", STYLE, 1000) == ["Subject 1"]
    assert place_lines((), "", STYLE, 1000) == []


def test_folders_are_broken_between_and_not_within() -> None:
    lines = place_lines(("Müller, Erika 1961", "Forearm left, extensor side", "Confocal Images"), DATE, STYLE, 420)
    assert lines == ["Müller, Erika 1961 /", "Forearm left, extensor side /", f"Confocal Images   {DATE}"]


def test_long_names_lose_their_middle_so_that_every_folder_is_still_told_apart() -> None:
    folders = ("Müller, Erika " + "x" * 80, "Forearm " + "y" * 80 + " left", "2026-12-01 visit 4")
    lines = place_lines(folders, DATE, STYLE, 450)
    assert len(lines) <= PLACE_LINES
    text = " ".join(lines)
    assert "Müller" in text
    assert "Forear" in text
    assert "left" in text
    assert DATE in text


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=80), max_size=2 * MOST_FOLDERS), st.integers(420, 1200))
def test_lines_fit_and_hold_the_date_whole(folders: list[str], width: int) -> None:
    lines = place_lines(tuple(folders), DATE, STYLE, width)
    assert all(text_width(line, STYLE) <= width for line in lines)
    assert lines[-1].endswith(DATE)
    assert len(lines) <= PLACE_LINES + 1


def test_path_of_thousands_of_folders_keeps_its_ends() -> None:
    lines = place_lines(tuple(f"folder {number}" for number in range(2000)), DATE, STYLE, 600)
    text = " ".join(lines)
    assert text.startswith("folder 0 / ")
    assert "folder 1999" in text
    assert "…" in text
    assert len(lines) <= PLACE_LINES


@given(st.text(max_size=60), st.integers(20, 400))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    text = "".join(letter for letter in text if letter.isprintable()).strip()
    shown = shorten(text, STYLE, width)
    assert shown == text or "…" in shown
    if shown != text:
        begin, _, end = shown.partition("…")
        assert text.startswith(begin)
        assert text.endswith(end)
        assert shown == "…" or text_width(shown, STYLE) <= width


def test_place_makes_room_above_the_title() -> None:
    plain = draw_header(OverlayText("Withheld", (), "a.bmp"), 600, 1.0)
    placed = draw_header(OverlayText("Withheld", (), "a.bmp", folders=("P1",), taken=DATE), 600, 1.0)
    assert placed.shape[0] > plain.shape[0]
    # what stood at the top stands below the new line
    assert (placed[-40:] == plain[-40:]).all()
