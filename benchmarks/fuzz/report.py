"""A campaign as a document."""

import importlib.metadata
from collections.abc import Sequence

from benchmarks.fuzz.campaign import Figures
from benchmarks.fuzz.verdict import MOST_BYTES, MOST_SECONDS
from runtime.machine import this_machine

_LIBRARIES = ("opencv-python-headless", "tifffile", "imagecodecs", "pydicom", "numpy", "atheris")


def to_markdown(found: Sequence[Figures], minutes: float, seed: int, processes: int) -> str:
    """The document of a run."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    machine = this_machine()
    text = f"""\
# Fuzzing

Files come from anywhere, so every reader is handed what nobody would write: valid files of every variant in
[formats.md](formats.md), made worse byte by byte and field by field with checksums made right again, guided by the
code that each reaches (atheris, libFuzzer). None may crash the process, take longer than {MOST_SECONDS:.0f} s, have it
grow by more than {MOST_BYTES >> 30} GB (a larger request fails, and counts), or print anything. Whatever an input is,
it is read, or refused with one of our own errors. `pytest tests/benchmarks/fuzz` is the short form, which CI runs: the
same mutations and verdict, drawn by hypothesis.

`python -m benchmarks.fuzz --minutes {minutes:g} --seed {seed} --out docs/fuzzing.md` on {machine.cpus} shared
{machine.architecture} processors, {processes} processes; {versions}:
"""
    lines = [
        *text.splitlines(),
        "",
        "| reader | inputs | seconds | read | refused | ways of refusal | longest, ms | most memory, MB | failures |",
        f"{9 * '|---'}|",
    ]
    for figures in found:
        read = figures.outcomes.get("read", 0)
        lines.append(
            f"| {figures.reader} | {figures.inputs} | {figures.seconds:.0f} | {read} | {figures.inputs - read} "
            f"| {len(figures.outcomes) - (read > 0)} | {1000 * figures.longest_s:.0f} | {figures.peak_bytes >> 20} "
            f"| {len(figures.failures)} |"
        )
    caught = {f"{figures.reader}: {kind}": number for figures in found for kind, number in figures.caught.items()}
    lines += ["", _told(caught), ""]
    failures = [f"- {file}: {failure}" for figures in found for file, failure in figures.failures.items()]
    return "\n".join([*lines, *failures, *([""] if failures else [])])


def _told(caught: dict[str, int]) -> str:
    if not caught:
        return "No exception of a library came as far as the reader's last seam, which would have caught it."
    kinds = ", ".join(f"{kind} ({number})" for kind, number in caught.items())
    return (
        f"Exceptions that the reader's last seam caught, which a user sees as an image that cannot be decoded: {kinds}."
    )
