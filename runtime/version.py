"""What this build calls itself, and what it says of its use."""

__version__ = "0.1.0"

NOTICE = (
    "Research use only. Not a medical device: not CE-marked (EU MDR 2017/745), not FDA-cleared; "
    "not for diagnosis or treatment. The shipped model is trained on synthetic images."
)
SYNTHETIC_WARNING = "synthetic-trained model: not for real findings"
