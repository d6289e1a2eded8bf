"""What the user says of the images, where their files do not tell it."""

import fnmatch
from collections.abc import Mapping
from pathlib import PurePath

import msgspec
from msgspec.structs import replace

from runtime.errors import InflamapError
from runtime.images.depth import DEPTH_UNKNOWN, GreyDepth
from runtime.images.frame import Frame, at_scale
from runtime.images.plausible import DEPTH_UM, GREY, STEP_UM, UM_PER_PX, depth_um, tells_grey
from runtime.images.vivascope import FolderKind, slice_number
from runtime.said_values import Range


class Acquisition(msgspec.Struct, frozen=True):
    """How images were taken; whatever is None is left to their files.

    Attributes:
        um_per_px: lateral sampling of all images in µm per pixel; beats everything else.
        um_per_px_in: sampling by pattern of the path below the folder, see `pattern_holds`; the first that holds.
        grey_range: the lowest and the highest level, as the file stores them, where it does not tell, as in floating
            point; which of them is black the file says.
        depth_um: (shallowest, deepest) µm below the skin's surface that are scored; what is known to lie outside is
            withheld.
        stack_step_um: µm from one slice of a `VivaStack` folder to the next; the first, number 0, is the surface.

    Raises:
        InflamapError: a value that makes no sense.
    """

    um_per_px: float | None = None
    um_per_px_in: Mapping[str, float] = msgspec.field(default_factory=dict)
    grey_range: Range | None = None
    depth_um: Range | None = None
    stack_step_um: float | None = None

    def __post_init__(self) -> None:
        for name, value, range_ in (
            ("--um-per-px", self.um_per_px, UM_PER_PX),
            *((f"--um-per-px-in {pattern}", scale, UM_PER_PX) for pattern, scale in self.um_per_px_in.items()),
            ("--stack-step", self.stack_step_um, STEP_UM),
        ):
            if value is not None and not range_.holds(value):
                raise InflamapError(f"{name} is no scale", seen=value, wanted=f"a positive number, {range_}")
        for name, given, range_ in (("--grey-range", self.grey_range, GREY), ("--depth", self.depth_um, DEPTH_UM)):
            if given is not None and not (all(map(range_.holds, given)) and given[0] < given[1]):
                raise InflamapError(
                    f"{name} is no range",
                    seen=f"{given[0]}:{given[1]}",
                    wanted=f"the lower end first, both within {range_}",
                )
        if self.grey_range is not None and not tells_grey(*self.grey_range):
            raise InflamapError(
                "--grey-range is too narrow",
                seen=f"{self.grey_range[0]}:{self.grey_range[1]}",
                wanted="levels far enough apart for 256 steps between them",
            )

    def scale_of(self, relative: PurePath) -> tuple[float, str] | None:
        """The sampling that is said of an image, and by what: `option` or `folder`; None where none is."""
        if self.um_per_px is not None:
            return self.um_per_px, "option"
        for pattern, scale in self.um_per_px_in.items():
            if pattern_holds(pattern, relative):
                return scale, "folder"
        return None

    def tell(self, frames: tuple[Frame, ...], relative: PurePath, kind: FolderKind | None) -> tuple[Frame, ...]:
        """The frames of a file with what is said of them; what contradicts the file is noted.

        Args:
            frames: as they were read.
            relative: the file's path below the folder, by which patterns go and slices are counted.
            kind: what the file is by its folder.
        """
        number = slice_number(relative) if kind == "stack" else None
        return tuple(self._in_depth(self._at_scale(self._in_grey(frame), relative), number) for frame in frames)

    def _in_grey(self, frame: Frame) -> Frame:
        if self.grey_range is None or frame.depth is not None:
            return frame
        depth = GreyDepth(*frame.held.black_and_white(*self.grey_range), None, "option")
        objections = tuple(each for each in frame.objections if not each.startswith(DEPTH_UNKNOWN))
        return replace(frame, depth=depth, objections=objections)

    def _at_scale(self, frame: Frame, relative: PurePath) -> Frame:
        found = self.scale_of(relative)
        if found is None:
            return frame
        return at_scale(frame, *found)

    def _in_depth(self, frame: Frame, number: int | None) -> Frame:
        if frame.z_um is None and self.stack_step_um is not None and number is not None:
            frame = _at_slice(frame, number * self.stack_step_um)
        if self.depth_um is None or frame.z_um is None or self.depth_um[0] <= frame.z_um <= self.depth_um[1]:
            return frame
        low, high = self.depth_um
        reason = f"depth: {frame.z_um:g} µm below the surface is outside {low:g} to {high:g}, which are to be scored"
        return replace(frame, objections=(*frame.objections, reason))


def _at_slice(frame: Frame, told_um: float) -> Frame:
    """The frame at a depth that its file's number tells."""
    z_um, objections = depth_um(told_um)
    source = frame.z_from if z_um is None else "stack"
    return replace(frame, z_um=z_um, z_from=source, objections=(*frame.objections, *objections))


def pattern_holds(pattern: str, relative: PurePath) -> bool:
    """Whether a pattern is about a file, by its path below the folder, in any case.

    `*` stands for any letters, `/` among them, `?` for one, `[ab]` for one of those. A pattern without them names a
    folder or a file: `Site 2` holds for all below it.
    """
    path, pattern = relative.as_posix().casefold(), pattern.replace("\\", "/").strip("/").casefold()
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, f"{pattern}/*")
