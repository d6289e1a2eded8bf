"""One watched folder an output folder: images are known by their path below it."""

from pathlib import Path

from runtime.errors import InflamapError
from runtime.ledger.ledger import Ledger

FOLDER_NOTE = "folder"


def bind_folder(ledger: Ledger, folder: Path, out: Path) -> None:
    """Note which folder the results in `out` are of.

    A second folder would have its `v0000000.bmp` taken for a new content of the first one's. Where the first is gone,
    it was moved or mounted elsewhere, and the new place is noted.

    Raises:
        InflamapError: they are of another folder, which is still there.
    """
    absolute = str(folder.resolve())
    earlier = ledger.noted(FOLDER_NOTE)
    if earlier not in (None, absolute) and _is_another(Path(earlier), folder):
        raise InflamapError(
            f"output folder {out} holds results of another folder",
            seen=earlier,
            wanted=absolute,
            next_step="give this folder an --out of its own",
        )
    ledger.note(FOLDER_NOTE, absolute)


def _is_another(earlier: Path, folder: Path) -> bool:
    try:
        return not earlier.samefile(folder)
    except OSError:
        return False
