"""Names of conda-forge and of the default channel that differ from those of PyPI.

The list is short and by hand: a name that stands nowhere here is taken to be the same on both, as nearly all
are, and one that PyPI does not have is said by the resolver.
"""

from __future__ import annotations

PYPI_NAMES = {
    "brotli-python": "brotli",
    "dask-core": "dask",
    "faiss": "faiss-cpu",
    "huggingface_hub": "huggingface-hub",
    "importlib_metadata": "importlib-metadata",
    "ipython_genutils": "ipython-genutils",
    "jupyterlab_server": "jupyterlab-server",
    "libcst": "libcst",
    "librosa": "librosa",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "onnxruntime-cpp": "onnxruntime",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "py-lightgbm": "lightgbm",
    "pyarrow-core": "pyarrow",
    "pyqt": "pyqt5",
    "python-graphviz": "graphviz",
    "python-levenshtein": "levenshtein",
    "python-tzdata": "tzdata",
    "python-xxhash": "xxhash",
    "pytables": "tables",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ruamel_yaml": "ruamel-yaml",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "torchvision-cpu": "torchvision",
    "typing_extensions": "typing-extensions",
}
"""conda's name to PyPI's."""

IGNORED = frozenset({"pip", "setuptools", "wheel", "conda", "mamba", "python_abi", "ca-certificates"})
"""What every environment of conda has, and no service asks for."""

NATIVE = frozenset(
    {
        "_libgcc_mutex",
        "_openmp_mutex",
        "blas",
        "bzip2",
        "compilers",
        "cuda",
        "cudatoolkit",
        "cudnn",
        "cxx-compiler",
        "c-compiler",
        "ffmpeg",
        "freetype",
        "gcc",
        "git",
        "glib",
        "gxx",
        "hdf5",
        "icu",
        "intel-openmp",
        "jpeg",
        "ld_impl_linux-64",
        "llvm-openmp",
        "lz4-c",
        "mkl",
        "mkl-service",
        "nccl",
        "ncurses",
        "ninja",
        "nodejs",
        "nomkl",
        "openblas",
        "openjdk",
        "openjpeg",
        "openmpi",
        "openssl",
        "pandoc",
        "pkg-config",
        "poppler",
        "pytorch-cuda",
        "pytorch-mutex",
        "qt",
        "r-base",
        "readline",
        "snappy",
        "sqlite",
        "tesseract",
        "tk",
        "xz",
        "yaml",
        "zlib",
        "zstd",
    }
)
"""Libraries and tools that PyPI does not have; wheels bring their own."""

NATIVE_PREFIXES = ("cuda-", "lib", "r-", "xorg-", "gcc_", "gxx_", "aws-c-")
