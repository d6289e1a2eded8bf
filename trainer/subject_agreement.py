"""How a model agrees with the raters, subject by subject."""

from collections import defaultdict
from dataclasses import dataclass

from trainer.evaluate import Evaluation


@dataclass(frozen=True)
class SubjectAgreement:
    """How the model does on one subject's patches.

    Attributes:
        subject: whose skin it is.
        patches: how many.
        accuracy: share of them whose most probable grade is the raters'.
        mad: mean distance of the two in grades; None without an order of the grades.
        signed_error: mean of the model's grade less the raters': above 0 the model sees more than they do; None without
            an order.
    """

    subject: str
    patches: int
    accuracy: float
    mad: float | None
    signed_error: float | None


def by_subject(evaluation: Evaluation) -> tuple[SubjectAgreement, ...]:
    """Return the agreement on every subject, in the order of their names."""
    ordered = evaluation.ordered
    errors: dict[str, list[int]] = defaultdict(list)
    apart = evaluation.probabilities.argmax(1) - evaluation.data.consensus_grades()
    for patch, error in zip(evaluation.data.patches, apart.tolist(), strict=True):
        errors[patch.subject].append(error)
    return tuple(
        SubjectAgreement(
            subject,
            len(found),
            found.count(0) / len(found),
            sum(map(abs, found)) / len(found) if ordered else None,
            sum(found) / len(found) if ordered else None,
        )
        for subject, found in sorted(errors.items())
    )
