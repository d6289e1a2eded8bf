"""The systemd unit: a watch that comes back by itself, stays out of the microscope's way and may do nothing else."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from runtime.install.installation import Installation, Needs
from runtime.install.quoting import quoted_command, quoted_path

# the first line, by which install and uninstall know a unit of ours
MARK = "# Written by `inflamap service`."
# of systemd.exec(5): what the settings below hide from a service
HIDDEN_BY_HOME = (Path("/home"), Path("/root"), Path("/run/user"))
HIDDEN_BY_TMP = (Path("/tmp"), Path("/var/tmp"))


def unit(installation: Installation, needs: Needs, *, groups: Sequence[str] = ()) -> str:
    """The text of NAME.service.

    Args:
        installation: what is to run.
        needs: what it reads and writes here, of `needs_of`.
        groups: of this machine, that own the devices of GPUs; for `installation.gpu` only.
    """
    command = quoted_command(installation.command())
    hidden_home = any(_is_below(path, HIDDEN_BY_HOME) for path in _all_of(needs))
    lines = [
        f"{MARK} Changes of your own: systemctl edit {installation.name}.service",
        _UNIT,
        f"ExecStart={command}",
        f"User={installation.user}",
        _LIFE,
        _CONSIDERATE,
        _FILES,
        # of /home only what is needed, where something is
        f"ProtectHome={'tmpfs' if hidden_home else 'yes'}",
        *_paths(needs),
        _CLOSED,
        *(_gpu(installation.name, groups) if installation.gpu else [_NO_DEVICES]),
        *_executable_memory(needs.engine, gpu=installation.gpu),
        _INSTALL,
    ]
    return "\n".join(lines)


_UNIT = """\
# What each line is for: docs/service.md

[Unit]
Description=inflamap watch (research use only)
# a share is waited for at boot where it comes; without it the watch starts all the same, and takes it up when it comes
Wants=network-online.target
After=network-online.target remote-fs.target
# tried again for ever: what is wrong (a share, a full disk, the configuration) is mended while nobody looks at this
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main"""

_LIFE = """\
Restart=always
# not faster, so that a wrong configuration costs nothing; pauses that grow (RestartSteps=) need systemd 254
RestartSec=10
# the watch reports as its loop goes round, so one that hangs is started anew
WatchdogSec=120
# the first start with a GPU may build an engine for minutes
TimeoutStartSec=30min
# the image in hand is finished first; a kill would lose nothing
KillSignal=SIGTERM
TimeoutStopSec=90"""

_CONSIDERATE = """\

# the microscope's own programs come first
Nice=10
CPUWeight=20
IOSchedulingClass=idle
IOWeight=10
# should memory run out, this one ends and starts anew. No MemoryHigh=: a mosaic of 256 megapixels may take gigabytes
# for a moment, and would be slowed down until the watchdog ends it
MemoryMax=80%
OOMScoreAdjust=500"""

_FILES = """\

# images of patients: readable by the account and its group only, and in no core dump
UMask=0027
LimitCORE=0
# the file system is read-only but for the results
ProtectSystem=strict
PrivateTmp=yes
PrivateMounts=yes"""

_CLOSED = """\

# no network but this machine itself, for the operator's page; shares are the kernel's work
IPAddressDeny=any
IPAddressAllow=localhost
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6

CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# engines keep threads on their cores, and the watch lowers its own priority
SystemCallFilter=sched_setaffinity setpriority ioprio_set
SystemCallErrorNumber=EPERM"""

_NO_DEVICES = """\
PrivateUsers=yes
PrivateDevices=yes
DevicePolicy=closed"""

_INSTALL = """\

[Install]
WantedBy=multi-user.target
"""


def _all_of(needs: Needs) -> Iterable[Path]:
    """Each path as it is written, and where its links lead."""
    for path in (needs.folder, needs.out, *needs.read, *([needs.log_folder] if needs.log_folder else [])):
        yield path
        yield path.resolve()


def _paths(needs: Needs) -> Iterable[str]:
    """Which places are read and which written. `-`: one that is missing now must not keep the watch from starting."""
    hidden = (*HIDDEN_BY_HOME, *HIDDEN_BY_TMP)
    written = [needs.out, *([needs.log_folder] if needs.log_folder else [])]
    seen: set[tuple[str, Path]] = set()
    for path, may_write in [(needs.folder, False), *((path, True) for path in written)]:
        for place in dict.fromkeys((path, path.resolve())):
            if _is_below(place, hidden):
                kind = "BindPaths" if may_write else "BindReadOnlyPaths"
            elif place == path:
                kind = "ReadWritePaths" if may_write else "ReadOnlyPaths"
            else:
                continue
            if (kind, place) not in seen:
                seen.add((kind, place))
                yield f"{kind}={quoted_path(str(place))}"
    bound = sorted({place for path in needs.read for place in (path, path.resolve()) if _is_below(place, hidden)})
    for place in bound:
        if not _is_below(place, [other for other in bound if other != place]):
            yield f"BindReadOnlyPaths={quoted_path(str(place))}"


def _is_below(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _gpu(name: str, groups: Sequence[str]) -> Iterable[str]:
    yield from (
        "# NVIDIA's devices and no others",
        "PrivateDevices=no",
        "DevicePolicy=closed",
        "DeviceAllow=char-nvidia* rw",
        "DeviceAllow=char-drm rw",
        *([f"SupplementaryGroups={' '.join(groups)}"] if groups else []),
        "# engines and kernels built for this GPU, in /var/cache; only the account itself may read or write there",
        f"CacheDirectory={name}",
        "CacheDirectoryMode=0700",
        f"Environment=INFLAMAP_CACHE=/var/cache/{name}/plans",
        f"Environment=CUDA_CACHE_PATH=/var/cache/{name}/cuda",
    )


def _executable_memory(engine: str, *, gpu: bool) -> Iterable[str]:
    """OpenVINO and the GPU's libraries write the code they run; onnxruntime does not (each was tried)."""
    if engine.startswith("onnxruntime") and not gpu:
        yield "MemoryDenyWriteExecute=yes"
    else:
        yield "# OpenVINO and the GPU's libraries write the code that they run; for --engine onnxruntime-... it is yes"
        yield "MemoryDenyWriteExecute=no"
