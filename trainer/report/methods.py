"""Describe the method of the intervals and the choice of the epoch, for the report."""

from trainer.report.facts import RunFacts

# intervals of fewer are so wide that a reader wonders
FEW_SUBJECTS = 8


def how_intervals_came(subjects: int) -> str:
    """Return a sentence or two on the 95 % intervals; `subjects` is 0 where the data names none."""
    method = "by leaving out each in turn (jackknife, Student's t)"
    if not subjects:
        return f"The 95 % intervals take the images for independent, {method}; subjects would make them wider."
    if subjects == 1:
        return (
            f"The 95 % intervals take the patches of the only subject for independent, {method}: they hold for that "
            "subject alone."
        )
    few = f" With so few as {subjects} subjects they are wide." if subjects < FEW_SUBJECTS else ""
    return (
        "The 95 % intervals take whole subjects for what was sampled, for patches of one subject resemble each other, "
        f"{method}.{few}"
    )


def why_kept(facts: RunFacts) -> str:
    """Return a sentence or two on the kept epoch."""
    history, kept = facts.document["history"], facts.kept_epoch
    losses = [entry["val_loss"] for entry in history]
    lowest = min(range(len(losses)), key=losses.__getitem__)
    most = facts.document["settings"]["epochs"]
    ran = f"{len(history)} of at most {most} epochs; the weights of epoch {kept} were kept"
    if lowest + 1 == kept:
        return f"{ran}, whose loss on the validation part, {losses[lowest]:.3f}, is the lowest of all."
    return (
        f"{ran}: the last with a loss on the validation part, {losses[kept - 1]:.3f}, within one standard error, "
        f"{history[lowest]['val_loss_error']:.3f}, of the lowest, {losses[lowest]:.3f} in epoch {lowest + 1}. Epochs "
        "so close cannot be told apart, and the last has had the lowest learning rate."
    )
