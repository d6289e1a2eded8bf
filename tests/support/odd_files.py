"""Files that a microscope's folder may come to hold: good, broken, hostile and odd, and what has to become of each."""

import fcntl
import io
import os
import socket
import stat
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
import tifffile

from benchmarks.microscope_files.dicom_files import dicom

# what becomes of each, and a word of its reason
Expected = dict[str, tuple[str, str]]

GOOD = ("scored", "")
DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"

WHOLE: Expected = {
    "good before.bmp": GOOD,
    "good between.png": GOOD,
    "good after.jpg": GOOD,
    "good after.tif": GOOD,
    "good after.dcm": GOOD,
    "good after.bmp": GOOD,
}
BROKEN: Expected = {
    "empty.bmp": ("failed", "the file is empty"),
    "empty.png": ("failed", "the file is empty"),
    "empty.jpg": ("failed", "the file is empty"),
    "empty.tif": ("failed", "the file is empty"),
    "cut.bmp": ("failed", "truncated"),
    "cut.png": ("failed", "truncated"),
    "cut.jpg": ("failed", "truncated"),
    "cut.tif": ("failed", "truncated"),
    "cut.dcm": ("failed", "truncated"),
    "header only.bmp": ("failed", "truncated"),
    "flipped bits.png": ("failed", "damaged"),
    "text.bmp": ("failed", "not an image"),
    "unreadable.bmp": ("failed", "Permission denied"),
}
HOSTILE: Expected = {
    "bomb.png": ("failed", "the image is too large"),
    "bomb.tif": ("failed", "strips"),
    "lying header.bmp": ("failed", "the image is too large"),
    "lying header.jpg": ("failed", "the image is too large"),
    "lying header.tif": ("failed", "the image is too large"),
    "endless.tif": ("failed", "circle"),
    "no pixels.bmp": ("failed", "without pixels"),
    "pixels in the header.bmp": ("failed", "inside itself"),
    "gif.png": ("failed", "not an image"),
    "link out.bmp": ("failed", "leads out of the watched folder"),
    "$(touch x)`id`;.bmp": GOOD,
    "-rf.bmp": GOOD,
    "<script>alert(1)<%2Fscript>.bmp": GOOD,
    "\u202ebmp.exe.bmp": GOOD,
}
KINDS: Expected = {
    "colour.bmp": ("withheld", "colour"),
    "colour.jpg": ("withheld", "colour"),
    "pixel.png": ("withheld", "too small"),
    "black.bmp": ("withheld", "dark"),
    "never filled.bmp": ("withheld", "dark"),
    "full range.tif": GOOD,
    "full range.png": GOOD,
    "12 bit.tif": ("withheld", "depth of grey unknown"),
    "12 bit.png": ("withheld", "depth of grey unknown"),
    "stack.tif": GOOD,
    "pages that differ.tif": ("failed", "no stack"),
    "float.tif": ("withheld", "depth of grey unknown"),
    "os2.bmp": ("failed", "OS/2"),
    "run lengths.bmp": ("failed", "compressed BMP"),
    "four bits.bmp": ("failed", "depth"),
    "animation.png": ("failed", "animation"),
    "cmyk.jpg": ("failed", "JPEG"),
    "upside down.bmp": GOOD,
    "bigtiff.tif": GOOD,
    "stack.dcm": GOOD,
    "photograph.dcm": ("withheld", "modality: Dermoscopic Photography"),
    "pyramid.dcm": ("failed", "pyramid of tiles"),
    "progressive.jpg": GOOD,
    "png in disguise.bmp": GOOD,
    "without suffix": GOOD,
}
ODD: Expected = {
    "with  spaces .bmp": GOOD,
    "site #1.bmp": GOOD,
    "Häut ß 皮膚.bmp": GOOD,
    "VivaStack #1/v0000001.bmp": GOOD,
    "/".join(["deep"] * 40) + "/v.bmp": GOOD,
    ".hidden.bmp": GOOD,
    "SHOUTED.BMP": GOOD,
    "future.bmp": GOOD,
    "long ago.bmp": GOOD,
    "in two halves.bmp": GOOD,
    "preallocated.bmp": GOOD,
    "rewritten.bmp": GOOD,
    "replaced.bmp": GOOD,
    "locked.bmp": GOOD,
}
ONLY_POSIX: Expected = {
    os.fsdecode(b"caf\xe9.bmp"): GOOD,
    os.fsdecode(b"cut caf\xe9.bmp"): ("failed", "truncated"),
    "a\nline.bmp": GOOD,
    "cut\nline.bmp": ("failed", "truncated"),
    "x" * 246 + ".bmp": GOOD,
    "x" * 245 + "y.bmp": GOOD,
    "x" * 251 + ".bmp": GOOD,
    "hard link.bmp": GOOD,
    "link inside.bmp": GOOD,
    "circle.bmp": ("failed", "cannot be read"),
    "gone.bmp": ("failed", "a link to nothing"),
    "pipe.bmp": ("failed", "no regular file"),
    "socket.bmp": ("failed", "no regular file"),
    "device.bmp": ("failed", "no regular file"),
}
# made in other ways than by writing a content
_MADE = {"link out.bmp", "hard link.bmp", "link inside.bmp", "circle.bmp", "gone.bmp", "pipe.bmp", "socket.bmp"}
_MADE |= {"device.bmp", "in two halves.bmp", "preallocated.bmp", "rewritten.bmp", "replaced.bmp"}


def expected() -> Expected:
    """Every file that this system and user can make."""
    found = WHOLE | BROKEN | HOSTILE | KINDS | ODD
    if sys.platform != "win32":
        found |= ONLY_POSIX
        if os.geteuid() != 0:
            del found["device.bmp"]
    return found


def encoded(suffix: str, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    """An image file of that kind."""
    if suffix == ".dcm":
        return dicom(pixels)
    if suffix != ".tif":
        return bytes(cv2.imencode(suffix, pixels)[1])
    return tiff_of(pixels)


def tiff_of(pixels: npt.NDArray[np.generic], **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)  # type: ignore[arg-type]
    return file.getvalue()


def pages_of(*pages: npt.NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        for page in pages:
            tiff.write(page, photometric="minisblack", metadata=None)
    return file.getvalue()


def contents(skin: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """What each file of `expected` holds in the end; `skin` is an image that is scored."""
    whole = {suffix: encoded(suffix, skin) for suffix in (".bmp", ".png", ".jpg", ".tif", ".dcm")}
    special = _special(skin, whole)
    found = {}
    for name in expected():
        data = special.get(name) or whole.get(name[-4:].lower(), whole[".bmp"])
        found[name] = b"" if name.startswith("empty") else data[: len(data) // 2] if name.startswith("cut") else data
    return found


def _special(skin: npt.NDArray[np.uint8], whole: dict[str, bytes]) -> dict[str, bytes]:
    bmp, png, jpg = whole[".bmp"], whole[".png"], whole[".jpg"]
    photo, deep = np.dstack([skin // 3, skin // 2, skin]), skin.astype(np.uint16)
    pixels_at = struct.unpack_from("<I", bmp, 10)[0]
    frame_header = jpg.index(b"\xff\xc0")
    middle = len(png) // 2
    animated, cmyk = io.BytesIO(), io.BytesIO()
    picture = PIL.Image.fromarray(skin)
    picture.save(animated, "PNG", save_all=True, append_images=[PIL.Image.fromarray(255 - skin)])
    picture.convert("CMYK").save(cmyk, "JPEG")
    return {
        "header only.bmp": bmp[:20],
        "flipped bits.png": png[:middle]
        + bytes(byte ^ 0xFF for byte in png[middle : middle + 20])
        + png[middle + 20 :],
        "text.bmp": b"Patient seen on Monday; BM was taken.\n" * 50,
        "bomb.png": png_of(100_000, 100_000, zlib.compress(bytes(1 << 20))),
        "bomb.tif": tiff_bomb(),
        "lying header.bmp": bmp[:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + bmp[26:],
        "lying header.jpg": jpg[: frame_header + 5] + b"\xff\xff\xff\xff" + jpg[frame_header + 9 :],
        "lying header.tif": _with_tiff_tag(whole[".tif"], 256, 2**31 - 1),
        "endless.tif": _endless(whole[".tif"]),
        "no pixels.bmp": bmp[:18] + struct.pack("<ii", 0, 0) + bmp[26:],
        "pixels in the header.bmp": bmp[:10] + struct.pack("<I", 20) + bmp[14:],
        "gif.png": b"GIF89a" + bytes(range(1, 200)) * 10,
        "colour.bmp": encoded(".bmp", photo),
        "colour.jpg": encoded(".jpg", photo),
        "pixel.png": encoded(".png", skin[:1, :1]),
        "black.bmp": encoded(".bmp", np.zeros_like(skin)),
        "never filled.bmp": bmp[:pixels_at] + bytes(len(bmp) - pixels_at),
        "full range.tif": encoded(".tif", deep * 257),
        "full range.png": encoded(".png", deep * 257),
        "12 bit.tif": encoded(".tif", deep * 16),
        "12 bit.png": encoded(".png", deep * 16),
        "stack.tif": tiff_of(np.stack([skin, skin]), photometric="minisblack"),
        "pages that differ.tif": pages_of(skin, skin[:150]),
        "float.tif": tiff_of(skin.astype(np.float32)),
        "os2.bmp": bmp[:14] + struct.pack("<IHHHH", 12, 200, 200, 1, 8) + bmp[26:],
        "run lengths.bmp": bmp[:30] + struct.pack("<I", 1) + bmp[34:],
        "four bits.bmp": bmp[:28] + struct.pack("<H", 4) + bmp[30:],
        "animation.png": animated.getvalue(),
        "cmyk.jpg": cmyk.getvalue(),
        "upside down.bmp": bmp[:22] + struct.pack("<i", -skin.shape[0]) + bmp[26:],
        "bigtiff.tif": tiff_of(skin, bigtiff=True),
        "stack.dcm": dicom(np.stack([skin, skin])),
        "photograph.dcm": dicom(skin, sop_class=DERMOSCOPIC),
        "pyramid.dcm": dicom(skin, TotalPixelMatrixRows=8000, TotalPixelMatrixColumns=8000),
        "progressive.jpg": bytes(cv2.imencode(".jpg", skin, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]),
        "png in disguise.bmp": png,
        "without suffix": png,
    }


def png_of(width: int, height: int, data: bytes) -> bytes:
    """A PNG of grey whose header says what one likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff_bomb() -> bytes:
    """A deflated strip that swells to a hundred times what its header says."""
    good = tiff_of(np.zeros((100, 100), np.uint8), compression="zlib", rowsperstrip=100)
    bomb = zlib.compress(bytes(1_000_000), 9)
    with tifffile.TiffFile(io.BytesIO(good)) as tiff:
        counts = tiff.pages[0].tags[279]  # type: ignore[union-attr]
        offsets = tiff.pages[0].tags[273]  # type: ignore[union-attr]
    changed = bytearray(good)
    struct.pack_into("<I", changed, offsets.valueoffset, len(good))
    struct.pack_into("<I" if counts.dtype == 4 else "<H", changed, counts.valueoffset, len(bomb))
    return bytes(changed) + bomb


def _with_tiff_tag(data: bytes, code: int, value: int) -> bytes:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        tag = tiff.pages[0].tags[code]  # type: ignore[union-attr]
    changed = bytearray(data)
    # as a 32-bit number, whatever it was
    struct.pack_into("<HII", changed, tag.offset + 2, 4, 1, value)
    return bytes(changed)


def _endless(data: bytes) -> bytes:
    """The first directory says that it is the next one too."""
    first = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, first)[0]
    changed = bytearray(data)
    struct.pack_into("<I", changed, first + 2 + 12 * entries, first)
    return bytes(changed)


def arrive(folder: Path, files: dict[str, bytes], pause_s: float) -> None:
    """What comes while the watch runs; some of it slowly, some of it more than once. `pause_s` is longer than the rest
    that a file is given."""
    bmp = files["good after.bmp"]
    with _changing(folder, bmp, files), _held_back(folder, bmp, pause_s):
        for name, content in files.items():
            if name not in _MADE and not name.startswith("good after") and name != "good before.bmp":
                _write(folder / name, content)
        (folder / "folder.bmp").mkdir()
        (folder / "notes.txt").write_text("no image")
        (folder / "copying.bmp.part").write_bytes(bmp)
        _touch(folder)
        if sys.platform != "win32":
            _make_special(folder)
            (folder / "unreadable.bmp").chmod(0)
            lock = (folder / "locked.bmp").open("rb")
            fcntl.flock(lock, fcntl.LOCK_EX)
            threading.Timer(2 * pause_s, lock.close).start()
    for name, content in files.items():
        if name.startswith("good after"):
            _write(folder / name, content)


def _touch(folder: Path) -> None:
    os.utime(folder / "future.bmp", (4_102_444_800, 4_102_444_800))
    os.utime(folder / "long ago.bmp", (0, 0))


def _make_special(folder: Path) -> None:
    os.link(folder / "good before.bmp", folder / "hard link.bmp")
    (folder / "link inside.bmp").symlink_to("good before.bmp")
    outside = folder.with_name("outside.bmp")
    outside.write_bytes((folder / "good before.bmp").read_bytes())
    (folder / "link out.bmp").symlink_to(outside)
    (folder / "circle.bmp").symlink_to("circle.bmp")
    (folder / "gone.bmp").symlink_to("nowhere.bmp")
    (folder / "back").symlink_to(folder)
    os.mkfifo(folder / "pipe.bmp")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(folder / "socket.bmp"))
    bound.close()
    if os.geteuid() == 0:
        os.mknod(folder / "device.bmp", stat.S_IFCHR | 0o666, os.makedev(1, 5))


@contextmanager
def _held_back(folder: Path, data: bytes, pause_s: float) -> Iterator[None]:
    """Two files that rest for long before they are whole: one cut, one with zeros in place of what is to come."""
    zeroed = len(data) // 3
    (folder / "in two halves.bmp").write_bytes(data[: len(data) // 2])
    (folder / "preallocated.bmp").write_bytes(data[:zeroed] + bytes(len(data) - zeroed))
    yield
    time.sleep(pause_s)
    with (folder / "in two halves.bmp").open("ab") as file:
        file.write(data[len(data) // 2 :])
    with (folder / "preallocated.bmp").open("r+b") as file:
        file.seek(zeroed)
        file.write(data[zeroed:])


@contextmanager
def _changing(folder: Path, data: bytes, files: dict[str, bytes]) -> Iterator[None]:
    """Two files that are written anew again and again, in place and by renaming, until the end."""
    other = files["black.bmp"]

    def replace(path: Path, content: bytes) -> None:
        aside = folder / "aside.part"
        aside.write_bytes(content)
        aside.replace(path)

    stop = threading.Event()

    def go_on(write: Callable[[Path, bytes], object], path: Path) -> None:
        turn = 0
        while not stop.wait(0.07):
            turn += 1
            write(path, other if turn % 2 else data)
        write(path, data)

    threads = [
        threading.Thread(target=go_on, args=(Path.write_bytes, folder / "rewritten.bmp")),
        threading.Thread(target=go_on, args=(replace, folder / "replaced.bmp")),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
