"""What an operator reads off an overlay must be what was computed, where it was computed."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.dense_map import Geometry
from runtime.grading import Grading
from runtime.overlay import OverlayText, Slice, draw_overlay, draw_slices, encode_jpeg, legend
from runtime.overlay.legend import colour_bar, round_length
from runtime.overlay.lettering import Style, fit, legible, text_width, wrap

GRADES = Grading(("0", "1", "2", "3", "4"))
GEOMETRY = Geometry(patch_px=128, stride_px=16, um_per_px=0.5)
TEXT = OverlayText("Inflammation 2.4", ("8 % withheld: too dark",), "v0000012.bmp · phantom · onnxruntime-int8")
AMBER = (0, 191, 255)


@pytest.fixture
def frame() -> np.ndarray:
    speckle = np.random.default_rng(5).integers(5, 180, (600, 520), dtype=np.uint8)
    speckle.setflags(write=False)
    return speckle


def uniform_map(frame: np.ndarray, grade: float, geometry: Geometry = GEOMETRY) -> np.ndarray:
    return np.full((geometry.cells(frame.shape[0]), geometry.cells(frame.shape[1])), grade, np.float32)


def picture_in(overlay: np.ndarray, frame: np.ndarray) -> np.ndarray:
    return overlay[-frame.shape[0] :, : frame.shape[1]]


def coloured(picture: np.ndarray) -> np.ndarray:
    return np.ptp(picture.astype(int), axis=2) > 0


def centre_of(cell: int) -> int:
    return cell * GEOMETRY.stride_px + GEOMETRY.patch_px // 2


@pytest.mark.parametrize("grade", [0.0, 1.0, 2.5, 4.0])
def test_a_colour_on_the_map_is_the_colour_of_that_grade_on_the_bar(grade: float) -> None:
    # the bar's left edge shows the colours over tissue of grey level 20
    frame = np.full((600, 520), 20, np.uint8)
    overlay = draw_overlay(frame, 0.5, GRADES, uniform_map(frame, grade), GEOMETRY, TEXT)
    seen = picture_in(overlay, frame)[centre_of(7), centre_of(3)].astype(int)

    panel = overlay[-600:, 520:].astype(int)
    first = int(np.argmax(coloured(panel).any(axis=0)))
    bar = panel[:, first][coloured(panel)[:, first]]
    matching = np.flatnonzero(np.abs(bar - seen).max(axis=1) <= 2)
    assert matching.size
    read_off = 4 * (1 - matching.mean() / (len(bar) - 1))
    assert read_off == pytest.approx(grade, abs=0.05)


def test_grades_are_told_apart_on_dark_and_on_bright_tissue() -> None:
    for level in (10, 90, 200):
        frame = np.full((600, 520), level, np.uint8)
        colours = [
            picture_in(draw_overlay(frame, 0.5, GRADES, uniform_map(frame, g), GEOMETRY, TEXT), frame)[200, 200]
            for g in range(5)
        ]
        lab = cv2.cvtColor(np.array([colours], np.float32) / 255, cv2.COLOR_BGR2LAB)[0]
        # 10 is several times the difference that a person notices side by side
        assert np.linalg.norm(np.diff(lab, axis=0), axis=1).min() > 10


@pytest.mark.parametrize(
    ("um_per_px", "geometry", "side"),
    [
        (0.5, Geometry(128, 16, 0.5), 600),
        (0.5, Geometry(96, 8, 0.5), 601),
        (1.0, Geometry(128, 16, 0.5), 600),  # a frame pixel is two of the model's
        (0.4, Geometry(64, 32, 0.5), 700),
        (None, Geometry(128, 16, 0.5), 600),
    ],
)
def test_colour_covers_the_stride_squares_of_the_cells_and_nothing_else(
    um_per_px: float | None, geometry: Geometry, side: int
) -> None:
    frame = np.full((side, side), 100, np.uint8)
    frame_px = 1.0 if um_per_px is None else geometry.um_per_px / um_per_px
    cells = geometry.cells(int(side / frame_px))
    overlay = draw_overlay(frame, um_per_px, GRADES, np.full((cells, cells), 3, np.float32), geometry, TEXT)

    start = (geometry.patch_px - geometry.stride_px) / 2 * frame_px
    stop = start + cells * geometry.stride_px * frame_px
    rows, columns = np.nonzero(coloured(picture_in(overlay, frame)))
    assert [rows.min(), columns.min()] == pytest.approx([start, start], abs=0.5)
    # below, the plate of the scale bar may lie over the lower left of the area, never over all of it
    assert [rows.max() + 1, columns.max() + 1] == pytest.approx([stop, stop], abs=0.5)


def test_the_border_and_withheld_cells_are_the_grey_picture(frame: np.ndarray) -> None:
    expected = uniform_map(frame, 2.0)
    expected[3:9, 4:6] = np.nan
    expected[12, 20] = np.nan
    seen = picture_in(draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, TEXT), frame)
    grey = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)

    scored = np.zeros(frame.shape, bool)
    for row, column in np.argwhere(~np.isnan(expected)):
        scored[row * 16 + 56 :, column * 16 + 56 :][:16, :16] = True
    drawn_on = np.zeros(frame.shape, bool)
    bottom, right = 56 + expected.shape[0] * 16, 56 + expected.shape[1] * 16
    drawn_on[55 : bottom + 1, [55, right]] = True  # the outline, just outside the mapped area
    drawn_on[[55, bottom], 55 : right + 1] = True
    drawn_on[-60:, :220] = True  # the scale bar's plate
    plain = ~scored & ~drawn_on
    assert np.array_equal(seen[plain], grey[plain])
    assert coloured(seen)[scored & ~drawn_on].all()


def test_a_withheld_cell_does_not_pale_its_neighbours(frame: np.ndarray) -> None:
    whole = uniform_map(frame, 3.0)
    holed = whole.copy()
    holed[5, 5] = holed[6, 9] = np.nan
    before = picture_in(draw_overlay(frame, 0.5, GRADES, whole, GEOMETRY, TEXT), frame)
    after = picture_in(draw_overlay(frame, 0.5, GRADES, holed, GEOMETRY, TEXT), frame)
    changed = {((row - 56) // 16, (column - 56) // 16) for row, column in np.argwhere((before != after).any(axis=2))}
    assert changed == {(5, 5), (6, 9)}


def test_colours_run_smoothly_from_cell_to_cell() -> None:
    frame = np.full((600, 520), 100, np.uint8)
    expected = uniform_map(frame, 0.0)
    expected[:] = np.linspace(0, 4, expected.shape[1], dtype=np.float32)
    picture = picture_in(draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, TEXT), frame)
    line = picture[300, 57 : 55 + 16 * expected.shape[1]].astype(int)
    assert np.abs(np.diff(line, axis=0)).max() <= 3
    assert len(np.unique(line, axis=0)) > 150


@pytest.mark.parametrize("um_per_px", [0.1, 0.5, 0.73, 1.04, 8.0])
@pytest.mark.parametrize("shape", [(600, 520), (1000, 1000), (200, 3000), (384, 384)])
def test_the_scale_bar_is_a_round_length_drawn_to_scale(um_per_px: float, shape: tuple[int, int]) -> None:
    frame = np.full(shape, 90, np.uint8)
    overlay = draw_overlay(frame, um_per_px, GRADES, None, None, TEXT)
    shown_width = {520: 520, 1000: 1000, 3000: 2000, 384: 768}[shape[1]]
    white = (overlay[-40:] == 255).all(axis=2)
    length_px = int(white.sum(axis=1).max())

    um_shown = um_per_px * shape[1] / shown_width
    length_um = length_px * um_shown
    assert length_um == pytest.approx(round_length(length_um), abs=0.5 * um_shown)
    assert 0.12 < length_px / shown_width < 0.32


@given(st.floats(1e-6, 1e9))
def test_round_lengths_are_one_two_or_five(wanted: float) -> None:
    length = round_length(wanted)
    assert f"{length:e}"[:8] in ("1.000000", "2.000000", "5.000000")
    assert 0.6 < length / wanted < 1.6


def test_an_unknown_scale_is_said_and_draws_no_bar() -> None:
    frame = np.full((600, 520), 90, np.uint8)
    overlay = draw_overlay(frame, None, GRADES, None, None, TEXT)
    corner = picture_in(overlay, frame)[-60:, :220]
    assert (corner != 90).any()
    assert (corner == 255).all(axis=2).sum(axis=1).max() < 20


def test_a_frame_without_a_map_is_the_plain_picture(frame: np.ndarray) -> None:
    overlay = draw_overlay(frame, None, GRADES, None, None, OverlayText("Withheld", ("no tissue",), "a.bmp"))
    assert overlay.shape[1] == frame.shape[1]
    assert np.array_equal(picture_in(overlay, frame)[:-60], cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)[:-60])
    assert not coloured(overlay).any()


def test_tiny_frames_are_enlarged_pixel_by_pixel() -> None:
    frame = np.array([[10, 200, 60], [90, 30, 250]], np.uint8)
    overlay = draw_overlay(frame, None, GRADES, None, None, OverlayText("Withheld", (), "a.bmp"))
    assert overlay.shape[1] == 480
    picture = overlay[-320:, :, 0]
    assert np.array_equal(picture[:160], frame[:1].repeat(160, axis=0).repeat(160, axis=1))
    assert np.array_equal(picture[160:250], frame[1:].repeat(90, axis=0).repeat(160, axis=1))


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 3000), (3000, 1), (128, 128), (384, 384), (1045, 1000), (200, 3000), (3000, 200)]
)
@pytest.mark.parametrize("mapped", [True, False])
def test_every_frame_and_every_text_stays_on_the_canvas(shape: tuple[int, int], mapped: bool) -> None:
    frame = np.full(shape, 100, np.uint8)
    cells = (GEOMETRY.cells(shape[0]), GEOMETRY.cells(shape[1]))
    mapped = mapped and min(cells) > 0
    text = OverlayText("Inflammation " * 30, ("reason " * 100,) * 20, "a/" * 500, "not for real findings " * 40)
    names = tuple(f"grade {number} " + "of a very long name " * 8 for number in range(12))
    overlay = draw_overlay(
        frame,
        0.5,
        Grading(names),
        np.full(cells, 5, np.float32) if mapped else None,
        GEOMETRY if mapped else None,
        text,
    )
    assert overlay.dtype == np.uint8
    assert 480 <= overlay.shape[1] <= 2600
    assert overlay.shape[0] <= 2600
    header = overlay[: np.flatnonzero((overlay[:, 0] == AMBER).all(axis=1)).max() + 1]
    for margin in (header[:, :8], header[:, -8:]):
        assert (margin == AMBER).all()
    body = overlay[len(header) : len(header) + 30]
    for margin in (body[:, :8], body[:, -8:]):
        assert np.ptp(margin) == 0
    if mapped:
        assert np.ptp(overlay[len(header) :, -8:]) == 0


@pytest.mark.parametrize("length", [20_000, 120_000, 200_000])
def test_a_strip_reduced_many_times_keeps_a_line_of_its_map(length: int) -> None:
    frame = np.full((130, length), 100, np.uint8)
    overlay = draw_overlay(frame, 0.5, GRADES, uniform_map(frame, 4.0), GEOMETRY, TEXT)
    assert coloured(overlay[-200:, 300:1900]).any()


def test_more_cells_than_pixels_are_averaged() -> None:
    frame = np.full((4000, 4000), 100, np.uint8)
    geometry = Geometry(patch_px=8, stride_px=1, um_per_px=0.5)
    expected = np.zeros((3993, 3993), np.float32)
    expected[:, ::2] = 4
    shown = draw_overlay(frame, 0.5, GRADES, expected, geometry, TEXT)[-1000:-500, 100:1900]
    even = draw_overlay(frame, 0.5, GRADES, np.full_like(expected, 2), geometry, TEXT)[-1000:-500, 100:1900]
    # no aliasing: stripes finer than a pixel are the grade between them
    assert np.abs(shown.astype(int).mean(axis=(0, 1)) - even.mean(axis=(0, 1))).max() < 6


def test_the_warning_is_a_plate_across_the_top_and_only_when_there_is_one(frame: np.ndarray) -> None:
    expected = uniform_map(frame, 1.0)
    warned = OverlayText(TEXT.title, TEXT.reasons, TEXT.footer, "synthetic-trained model: not for real findings")
    overlay = draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, warned)
    plate = (overlay == AMBER).all(axis=2)
    assert plate[0].all()
    assert 0.5 < plate[:20].mean() < 1  # with words on it
    assert not (draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, TEXT) == AMBER).all(axis=2).any()


def test_reasons_make_room_and_many_are_counted(frame: np.ndarray) -> None:
    def height(*reasons: str) -> int:
        return draw_overlay(frame, 0.5, GRADES, None, None, OverlayText("Withheld", reasons, "a.bmp")).shape[0]

    assert height() < height("too dark") < height("too dark", "blurred")
    assert height(*["too dark"] * 7) == height(*["too dark"] * 70)


@pytest.mark.parametrize("name", ["b\udcff\udc80d.bmp", "a\x00\n\t\x1b[31m.bmp", "", "µ ÅŁж 中文 עברית 😀 \U0010ffff"])
def test_any_file_name_can_be_written(frame: np.ndarray, name: str) -> None:
    text = OverlayText(name, (name,), name, name)
    assert draw_overlay(frame, 0.5, Grading((name, "b")), uniform_map(frame, 0.3), GEOMETRY, text).any()


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(40, 400), st.integers(1, 4))
def test_wrapped_lines_fit_and_lose_nothing_unsaid(text: str, width: int, lines: int) -> None:
    style = Style(16, 400, (255, 255, 255))
    shown = legible(text)
    broken = wrap(shown, style, width, lines)
    assert len(broken) <= lines
    assert all(text_width(line, style) <= width for line in broken)
    kept = "".join("".join(broken).split())
    whole = "".join(shown.split())
    assert kept == whole or (kept.endswith("…") and whole.startswith(kept[:-1]))


def test_a_line_is_cut_only_when_it_must_be() -> None:
    style = Style(16, 400, (255, 255, 255))
    width = text_width("v0000012.bmp", style)
    assert fit("v0000012.bmp", style, width) == "v0000012.bmp"
    cut = fit("v0000012.bmp", style, width - 1)
    assert cut.startswith("v00000")
    assert cut.endswith("…")


def test_an_encoded_overlay_is_a_jpeg_close_to_what_was_drawn() -> None:
    ramp = np.linspace(20, 200, 600, dtype=np.uint8)[:, None].repeat(520, axis=1)
    overlay = draw_overlay(ramp, 0.5, GRADES, uniform_map(ramp, 1.5), GEOMETRY, TEXT)
    data = encode_jpeg(overlay)
    assert data[:3] == b"\xff\xd8\xff"
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == overlay.shape
    assert np.abs(back.astype(int) - overlay).mean() < 2


def test_drawing_twice_gives_the_same_picture(frame: np.ndarray) -> None:
    expected = uniform_map(frame, 1.5)
    first = draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, TEXT)
    first[:] = 0  # nothing kept for the next image may be reached through what was handed out
    second = draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, TEXT)
    assert np.array_equal(second, draw_overlay(frame, 0.5, GRADES, expected, GEOMETRY, TEXT))
    with pytest.raises(ValueError, match="read-only"):
        colour_bar(GRADES.names, 600, 1.0)[:] = 0


def test_slices_stand_side_by_side_each_with_its_number_and_depth() -> None:
    grey = np.full((200, 200), 90, np.uint8)
    expected = uniform_map(grey, 2.0)

    def sheet(*depths: float | None) -> np.ndarray:
        slices = [Slice(grey, expected, z_um) for z_um in depths]
        return draw_slices(slices, GEOMETRY.um_per_px, GRADES, GEOMETRY, TEXT)

    told, untold = sheet(10.0, None), sheet(None, None)
    assert told.shape == untold.shape
    columns = np.flatnonzero((told != untold).any(axis=(0, 2)))
    assert columns.size
    assert columns.max() < told.shape[1] // 2


def test_numbers_on_slices_begin_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("runtime.overlay.picture.write", lambda _image, text, *_rest: written.append(text))
    grey = np.full((200, 200), 90, np.uint8)
    slices = [Slice(grey, uniform_map(grey, 2.0), 10.0), Slice(grey, None)]
    draw_slices(slices, GEOMETRY.um_per_px, GRADES, GEOMETRY, TEXT)
    assert written == ["1 · z 10 µm", "2 withheld"]


CLASSES = Grading(tuple(f"class {index}" for index in range(7)), ordered=False)


@pytest.mark.parametrize("level", [10, 90, 200])
def test_classes_are_told_apart_on_any_tissue(level: int) -> None:
    frame = np.full((600, 520), level, np.uint8)
    colours = [
        picture_in(draw_overlay(frame, 0.5, CLASSES, uniform_map(frame, index), GEOMETRY, TEXT), frame)[200, 200]
        for index in range(7)
    ]
    lab = cv2.cvtColor(np.array([colours], np.float32) / 255, cv2.COLOR_BGR2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert apart[~np.eye(7, dtype=bool)].min() > 10


def test_between_two_classes_there_is_no_third_colour() -> None:
    frame = np.full((600, 520), 100, np.uint8)
    classes = uniform_map(frame, 0.0)
    classes[:, classes.shape[1] // 2 :] = 4
    classes[3, 4] = np.nan
    seen = picture_in(draw_overlay(frame, 0.5, CLASSES, classes, GEOMETRY, TEXT), frame)
    inside = seen[56 : 56 + 16 * (classes.shape[0] - 4), 56 : 56 + 16 * classes.shape[1]]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) == 3
    assert (inside[3 * 16 : 4 * 16, 4 * 16 : 5 * 16] == 100).all()
    assert coloured(inside)[:48].all()
    # each cell is its own square
    edge = 16 * (classes.shape[1] // 2)
    assert (inside[:48, :edge] == inside[0, 0]).all()
    assert (inside[:48, edge:] == inside[0, -1]).all()


def test_colour_of_a_class_on_the_map_is_that_in_the_list() -> None:
    frame = np.full((600, 520), 20, np.uint8)
    overlay = draw_overlay(frame, 0.5, CLASSES, uniform_map(frame, 5), GEOMETRY, TEXT)
    seen = picture_in(overlay, frame)[centre_of(7), centre_of(3)].astype(int)
    panel = overlay[-600:, 520:].astype(int)
    first = int(np.argmax(coloured(panel).any(axis=0)))
    swatch = panel[:, first][coloured(panel)[:, first]]
    assert np.abs(swatch - seen).max() <= 2
    assert np.abs(seen - (0.5 * np.array([0x00, 0x5E, 0xD5]) + 0.7 * 20)).max() <= 1


def test_list_names_the_classes_on_the_map_with_their_areas_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("runtime.overlay.legend.write", lambda _image, text, *_rest: written.append(text))
    frame = np.full((600, 520), 100, np.uint8)
    classes = uniform_map(frame, 2.0)
    classes[: len(classes) // 3] = 5
    draw_overlay(frame, 0.5, CLASSES, classes, GEOMETRY, TEXT)
    assert written[:-2] == ["share of the area", "class 2", "67 %", "class 5", "33 %"]
    assert not any("grade" in text or "expected" in text for text in written)


@pytest.mark.parametrize("shape", [(128, 128), (200, 3000), (3000, 200), (1045, 1000)])
@pytest.mark.parametrize("classes", [2, 7, 300])
def test_any_number_of_classes_is_listed_beside_frames_of_any_size(shape: tuple[int, int], classes: int) -> None:
    frame = np.full(shape, 100, np.uint8)
    grading = Grading(tuple(f"class {index} " + "of a very long name " * 8 for index in range(classes)), ordered=False)
    cells = np.arange(GEOMETRY.cells(shape[0]) * GEOMETRY.cells(shape[1]), dtype=np.float32) % classes
    overlay = draw_overlay(
        frame, 0.5, grading, cells.reshape(GEOMETRY.cells(shape[0]), GEOMETRY.cells(shape[1])), GEOMETRY, TEXT
    )
    assert 480 <= overlay.shape[1] <= 2600
    assert overlay.shape[0] <= 2600


def test_more_cells_of_classes_than_pixels_keep_to_the_classes() -> None:
    frame = np.full((4000, 4000), 100, np.uint8)
    geometry = Geometry(patch_px=8, stride_px=1, um_per_px=0.5)
    classes = np.random.default_rng(0).choice(np.array([0, 6], np.float32), (3993, 3993))
    shown = draw_overlay(frame, 0.5, CLASSES, classes, geometry, TEXT)[-1000:-500, 100:1900]
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 2


def test_on_a_scale_from_1_the_picture_is_that_of_the_same_grades_from_0(frame: np.ndarray) -> None:
    from_1 = Grading(("1", "2", "3", "4", "5"))
    values = np.random.default_rng(1).integers(0, 5, uniform_map(frame, 0).shape).astype(np.float32)
    values[2:4, 3:6] = np.nan
    one = draw_overlay(frame, 0.5, GRADES, values, GEOMETRY, TEXT)
    other = draw_overlay(frame, 0.5, from_1, values + 1, GEOMETRY, TEXT)
    assert np.array_equal(picture_in(one, frame), picture_in(other, frame))
    # but for the words of the bar
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("1", "2", "3"), {"1", "2", "3"}),
        (("0", "1", "2"), {"0", "1", "2"}),
        (("none", "mild", "3"), {"0  none", "1  mild", "2  3"}),
    ],
)
def test_a_label_of_the_bar_is_the_name_alone_where_that_is_the_number(
    names: tuple[str, ...], said: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(legend, "write", lambda _panel, text, *_place: written.append(text))
    colour_bar.__wrapped__(names, 600, 1.0)
    assert set(written) == {*said, legend.TITLE, legend.KEY}
