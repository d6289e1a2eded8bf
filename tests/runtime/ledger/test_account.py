"""What `Account` answers with."""

import pytest

from runtime.ledger.account import ModelShare


def test_share_of_a_model_cannot_be_changed() -> None:
    share = ModelShare("tiny", "6" * 64, 3)
    with pytest.raises(AttributeError):
        share.images = 4  # type: ignore[misc]
