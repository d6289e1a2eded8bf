"""What a support call would ask, answered by the machine itself: one finding a check, each with the next step."""
