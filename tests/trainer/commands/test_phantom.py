"""`inflamap phantom`."""

import pytest

from trainer.commands import phantom


def test_a_phantom_is_drawn_and_called_synthetic(inflamap, tmp_path):
    code, out, err = inflamap("phantom", tmp_path / "skin", "--patches", 3, "--frames", 0, "--seed", 4)
    assert (code, out) == (0, "")
    assert f"3 synthetic patches and 0 synthetic frames in {tmp_path / 'skin'}" in err
    assert len((tmp_path / "skin" / "scores.csv").read_text().splitlines()) == 1 + 3 * 3
    assert (tmp_path / "skin" / "phantom.json").exists()


def test_a_folder_of_other_files_is_left_alone(inflamap, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _out, err = inflamap("phantom", tmp_path, "--patches", 1)
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith(f"inflamap: {tmp_path} is not empty and holds no earlier phantom: seen thesis.txt; wanted ")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--seed", "-1"], "-1 is not in the range"), (["--patches", "x"], "'x' is not a valid")]
)
def test_options_that_cannot_be_meant_are_refused(inflamap, tmp_path, arguments, said):
    code, _out, err = inflamap("phantom", tmp_path / "skin", *arguments)
    assert code == 2
    assert said in err
    assert not (tmp_path / "skin").exists()


def test_a_file_in_the_way_is_refused(inflamap, tmp_path):
    (tmp_path / "skin").write_text("")
    code, _out, err = inflamap("phantom", tmp_path / "skin")
    assert code == 2
    assert "is a file" in err


def test_a_place_that_cannot_be_written_is_one_line(inflamap, tmp_path, monkeypatch):
    (tmp_path / "file.txt").write_text("")
    code, _out, err = inflamap("phantom", tmp_path / "file.txt" / "skin", "--patches", 1, "--frames", 0)
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith(f"inflamap: output folder {tmp_path / 'file.txt' / 'skin'}; seen: ")

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(phantom, "write_phantom", full)
    code, _out, err = inflamap("phantom", tmp_path / "skin")
    said = f"{tmp_path / 'skin'} cannot be written; seen: No space left on device; next: free space on that disk"
    assert (code, err) == (2, f"inflamap: {said}\n")
