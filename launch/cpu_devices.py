"""A processor that stands for several devices."""

import os


def cpu_devices(count: int | str) -> dict[str, str]:
    """The environment in which JAX, before it is loaded, finds so many CPU devices and no other."""
    flag = f"--xla_force_host_platform_device_count={count}"
    return {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flag}"}
