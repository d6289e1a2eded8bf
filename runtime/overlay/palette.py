"""Colours of classes without an order; the operator's page uses the same."""

# Okabe and Ito's (https://jfly.uni-koeln.de/color), which the colour-blind tell apart
CLASS_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
# share of the remaining way to white that each repeat of the colours goes
LIGHTENING = 0.45


def class_colour(index: int) -> tuple[int, int, int]:
    """The colour of a class as (red, green, blue), 0 to 255; beyond the last the colours repeat, ever lighter."""
    repeat, place = divmod(index, len(CLASS_COLOURS))
    kept = (1 - LIGHTENING) ** repeat
    plain = bytes.fromhex(CLASS_COLOURS[place][1:])
    red, green, blue = (round(255 - kept * (255 - channel)) for channel in plain)
    return red, green, blue
