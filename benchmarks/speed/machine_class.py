"""Machines whose ratios may be compared: those with the same kinds of arithmetic and as many cores."""

import os
import platform

import cv2

# from the widest; OpenCV's numbers of what it looks for in a processor (cv::CpuFeatures)
_KINDS = {"AVX-512": 256, "AVX2": 11, "SSE4.2": 7, "NEON": 100}


def machine_class() -> str:
    """Of this machine, such as `x86_64, AVX2, 2 cores`."""
    kind = next((name for name, number in _KINDS.items() if cv2.checkHardwareSupport(number)), "plain")
    return f"{platform.machine()}, {kind}, {os.cpu_count()} cores"
