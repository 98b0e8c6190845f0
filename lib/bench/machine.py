"""The machine that a table was measured on: processor, libraries, and how fast it is by itself."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from mixlab.common.linear import linear

SIDE = 2048  # rows and columns of the matrix product that rates the machine


@dataclass(frozen=True)
class Rates:
    """How fast a machine is by itself: in matrix products, and in reading its memory.

    Attributes:
        operations: float32 operations a second.
        bytes_read: bytes a second.
    """

    operations: float
    bytes_read: float

    @classmethod
    def measure(cls) -> "Rates":
        """Those of this machine's processor."""
        return cls(matmul_rate(), reading_rate())

    def least_seconds(self, operations: float, bytes_read: float) -> float:
        """The time below which no program can do a work, if computing and reading overlap wholly.

        >>> Rates(operations=100.0, bytes_read=10.0).least_seconds(operations=50, bytes_read=20)
        2.0
        """
        return max(operations / self.operations, bytes_read / self.bytes_read)


def describe(
    device: str = "cpu", rates: Rates | None = None
) -> dict[str, str | int | float | None]:
    """What a reader needs to judge figures."""
    about: dict[str, str | int | float | None] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        about |= {
            "device": properties.name,
            "device memory (GiB)": round(properties.total_memory / 2**30, 1),
            "multiprocessors": properties.multi_processor_count,
            "compute capability": f"{properties.major}.{properties.minor}",
            "CUDA": torch.version.cuda,
        }
    if rates is not None:
        about |= {
            "matrix rate (Gflop/s, float32)": round(rates.operations / 1e9, 1),
            "reading rate (GB/s)": round(rates.bytes_read / 1e9, 1),
        }
    return about


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def square_product(library: str, side: int = SIDE):
    """A callable that multiplies two square matrices once; 2 * side**3 operations.

    Args:
        library: "MKL" for what `F.linear` calls, "oneDNN" for `mixlab.common.linear`. On a build of
            PyTorch that has one of them only, both are that one.
    """
    a, b = torch.randn(side, side), torch.randn(side, side)
    product = F.linear if library == "MKL" else linear

    def run() -> None:
        with torch.inference_mode():
            product(a, b)

    return run


def matmul_rate(side: int = SIDE) -> float:
    """The best rate at which this machine multiplies matrices, in operations a second."""
    libraries = [square_product(name, side) for name in ("MKL", "oneDNN")]
    return 2 * side**3 / min(_best_time(run) for run in libraries)


def reading_rate(n_bytes: int = 2**28) -> float:
    """The best rate at which this machine reads memory too large for its caches, in bytes a second.

    Decoding one sequence reads every weight once a token, so this rate bounds it.
    """
    data = torch.ones(n_bytes // 4)
    return n_bytes / _best_time(data.sum)


def _best_time(run, runs: int = 5) -> float:
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
