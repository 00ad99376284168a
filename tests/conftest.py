"""What every test shares: run-time shape checks, and where the real recordings lie."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
# Many tests, and the processes they start, compile the same programs.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# What runs but a few steps need not be fast.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)

install_import_hook("jasr", "beartype.beartype")

REAL_DATA = Path(os.environ.get("JASR_TEST_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, which are those that start processes: none is left alone at the end."""
    items.sort(key=lambda item: "launch" not in item.path.parts)


@pytest.fixture
def tpu_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that compile for a TPU are skipped where its compiler is absent."""
    pytest.importorskip("libtpu", reason="libtpu, the TPU compiler, has wheels for Linux alone")
    # It ends the process at a flag of the CPU's compiler.
    monkeypatch.delenv("XLA_FLAGS")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real recordings at {REAL_DATA} (set JASR_TEST_DATA)")
    return REAL_DATA
