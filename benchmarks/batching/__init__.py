"""Simulator and judge of batching policies: `python -m tiffin.benchmarks.batching.judge`."""
