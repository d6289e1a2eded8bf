"""The table of how captions are read."""

import pytest

from benchmarks import caption_reading
from runtime.images.vivascope import Caption


def test_every_font_is_a_row_and_nothing_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["caption_reading", "--captions", "4"])
    assert caption_reading.main() == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[-1] == "wrong"
    assert {"DejaVu", "Rubik", "Aileron"} <= {row.split()[0] for row in rows}


def test_a_wrong_number_is_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["caption_reading", "--captions", "2"])
    monkeypatch.setattr(caption_reading, "read_caption", lambda _: Caption(z_um=-1.0))
    assert caption_reading.main() == 1
    assert "2 of " in capsys.readouterr().out
