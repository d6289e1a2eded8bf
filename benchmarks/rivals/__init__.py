"""What the texture network has to beat, built as described elsewhere, and what each costs a frame."""
