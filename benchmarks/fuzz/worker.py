"""One process that fuzzes one reader, guided by what code each input reaches.

    python -m benchmarks.fuzz.worker READER SECONDS SEED FOLDER

Writes `FOLDER/READER.json` again and again, and every input that failed, or that it died of, into FOLDER.
"""

import hashlib
import importlib
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["runtime.images", "pydicom.filereader", "pydicom.encaps"]):
    from benchmarks.fuzz.targets import targets

    # what readers import late would be imported as it is
    for late in ("runtime.images.tiff", "runtime.images.dicom", "pydicom.filereader", "pydicom.encaps"):
        importlib.import_module(late)

from benchmarks.fuzz.mutations import repaired, worsen
from benchmarks.fuzz.verdict import judge

# a hang is what took longer than the verdict's limit; this ends one that would not end
_KILLED_AFTER_S = 30
_LONGEST_INPUT = 1 << 17


def main() -> None:
    """Fuzzes until the time is over; never returns."""
    name, seconds, seed, folder = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    target = targets()[name]
    seeds = target.seeds()
    corpus = folder / f"{name}.seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        # whatever is imported late is imported now
        judge(target, data)
    figures: dict[str, Any] = {"inputs": 0, "longest_s": 0.0, "peak_bytes": 0, "failures": {}}
    outcomes: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    started = saved = time.monotonic()

    def save() -> None:
        text = json.dumps(figures | {"outcomes": outcomes, "caught": caught, "seconds": time.monotonic() - started})
        file = folder / f"{name}.json"
        file.with_suffix(".tmp").write_text(text)
        file.with_suffix(".tmp").replace(file)

    def one(data: bytes) -> None:
        nonlocal saved
        last.write_bytes(data)
        verdict = judge(target, data)
        figures["inputs"] += 1
        figures["longest_s"] = max(figures["longest_s"], verdict.seconds)
        figures["peak_bytes"] = max(figures["peak_bytes"], verdict.peak_bytes)
        outcomes[verdict.outcome] += 1
        if verdict.caught:
            caught[verdict.caught] += 1
        if verdict.failure and len(figures["failures"]) < 100:
            file = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
            file.write_bytes(data)
            figures["failures"][file.name] = verdict.failure
        now = time.monotonic()
        if now - saved > 1 or now - started > seconds:
            saved = now
            save()
        if now - started > seconds:
            last.unlink()
            os._exit(0)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return worsen(data or rng.choice(seeds), rng, seeds)[:max_size]
        return repaired(atheris.Mutate(data, max_size), rng)[:max_size]

    # what it died of, if it dies
    last = folder / f"{name}.last"
    options = [
        f"-seed={seed}",
        f"-timeout={_KILLED_AFTER_S}",
        f"-max_len={_LONGEST_INPUT}",
        "-rss_limit_mb=0",
        "-verbosity=0",
    ]
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={folder}/{name}-", str(corpus)], one, custom_mutator=mutate
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
