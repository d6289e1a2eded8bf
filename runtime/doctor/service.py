"""Whether a service was installed here, and how it stands."""

import shutil
import subprocess
from collections.abc import Sequence

from runtime.doctor.finding import Case, Finding, Level
from runtime.install.systemctl import System, installed

_SHOWN = ("ActiveState", "SubState", "NRestarts", "StatusText")
TIMEOUT_S = 10.0


def service(_case: Case) -> Sequence[Finding]:
    """State and restarts of each of inflamap's units; nothing where there is no systemd."""
    system = System(lambda _line: None)
    if shutil.which("systemctl") is None or not system.booted.is_dir():
        return []
    return [_state_of(name) for name in installed(system)] or [
        Finding("service", Level.OK, "none installed; `inflamap service install` does it")
    ]


def _state_of(name: str) -> Finding:
    command = ["systemctl", "show", f"{name}.service", f"--property={','.join(_SHOWN)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, errors="replace")
    facts = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    if done.returncode or not facts.get("ActiveState"):
        seen = f"{name}: its state cannot be asked ({done.stderr.strip() or 'no answer'})"
        return Finding("service", Level.WARNING, seen, f"systemctl status {name}, as root")
    restarts = int(facts.get("NRestarts") or 0)
    seen = f"{name}: {facts['ActiveState']} ({facts.get('SubState', '')}), {restarts} restarts"
    if text := facts.get("StatusText"):
        seen += f"; {text}"
    if facts["ActiveState"] == "active":
        step = f"journalctl -u {name} tells why it was started anew" if restarts else ""
        return Finding("service", Level.WARNING if restarts else Level.OK, seen, step)
    return Finding("service", Level.FAULT, seen, f"journalctl -u {name} -n 20; then systemctl start {name}")
