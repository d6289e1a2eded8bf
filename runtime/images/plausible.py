"""Plausible ranges of the numbers that files and users tell; a number of a file outside of them counts as not told."""

import math

import msgspec


class Plausible(msgspec.Struct, frozen=True):
    """A range of numbers, ends included.

    Attributes:
        low, high: its ends.
        unit: of its numbers.
        who: what has no number outside, as a subject for "has".
    """

    low: float
    high: float
    unit: str
    who: str = "no microscope"

    def holds(self, number: float) -> bool:
        """Return whether a number lies in the range; a NaN never does."""
        return self.low <= number <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}"

    def objection(self, about: str, number: float, *, of: str = "", next_step: str = "") -> str:
        """Return why an image must not be scored whose file tells such a number.

        Args:
            about: what the number is about, such as `scale`; by it the objection is known, and lifted where a user
                knows better.
            number: the number told.
            of: what it is of, with an article, where `about` does not say it all.
            next_step: what the user may do.
        """
        told = f"{of} of {number:g} {self.unit}" if of else f"{number:g} {self.unit}"
        end = f"; {next_step}" if next_step else ""
        return f"{about}: the file tells {told}, which {self.who} has ({self}){end}"


# from the size of an atom to 1 cm; a model's own range, by which images are withheld too, is far narrower
UM_PER_PX = Plausible(1e-4, 1e4, "µm/px")
# from an atom to ten times as deep as light comes back from
STEP_UM = Plausible(1e-4, 10_000.0, "µm", "no stack")
# no further does a stage travel; a file's depth may count from where its stage was switched on
DEPTH_UM = Plausible(-100_000.0, 100_000.0, "µm", "no stage")
# what a caption says is read from pixels, so that its range is as narrow as the instrument allows: the deepest that
# light comes back from, and the farthest that the stage of a VivaScope goes
CAPTION_DEPTH_UM = Plausible(-200.0, 1000.0, "µm")
CAPTION_PLACE_MM = Plausible(-200.0, 200.0, "mm")
# a level of no more than 32 bits is read
BITS = Plausible(1, 32, "bits", "no level that is read")
# levels of grey that single precision, in which they become 8 bits, still tells apart
GREY = Plausible(-1e12, 1e12, "levels", "no image")
_GREY_STEPS = 1 << 12


def tells_grey(black: float, white: float) -> bool:
    """Return whether single precision holds 256 steps between two levels."""
    return white - black >= max(abs(black), abs(white)) / _GREY_STEPS and white - black >= 1 / GREY.high


def depth_um(number: float) -> tuple[float | None, tuple[str, ...]]:
    """Return a depth that a file tells, None where it is not plausible, and the objection."""
    if DEPTH_UM.holds(number):
        return number, ()
    return None, (DEPTH_UM.objection("depth", number),)


def to_number(told: object) -> float:
    """Return a number that a file tells, NaN for anything that is none.

    Python also takes `1_0` and digits of other scripts, which no file format does.
    """
    if isinstance(told, str) and ("_" in told or not told.isascii()):
        return math.nan
    try:
        return float(told)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:
        return math.inf
