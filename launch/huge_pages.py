"""Huge pages for large temporary arrays on Linux.

XLA's CPU client takes a step's temporaries from malloc, which gives fresh pages each time; the
kernel then clears them 4 KiB at a time. With huge pages it clears 2 MiB at a time: the training
step of configs/quickstart.py is a sixth faster so (RESULTS.md).
"""

import os
import platform
import sys

TUNABLE = "glibc.malloc.hugetlb=1"


def use_huge_pages() -> None:
    """Runs this program anew with glibc's malloc asking for huge pages, unless it is told already.

    glibc reads its tunables when a process starts, and at no later time.
    """
    if "GLIBC_TUNABLES" in os.environ or platform.libc_ver()[0] != "glibc":
        return
    os.execve(sys.executable, sys.orig_argv, os.environ | {"GLIBC_TUNABLES": TUNABLE})
