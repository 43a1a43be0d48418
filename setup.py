"""Install dglmeta, with ``kernels/`` as ``dglmeta.kernels`` and ``bench/`` as ``dglmeta.bench``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def version() -> str:
    """The one version, read from ``dglmeta/__init__.py`` without importing it."""
    text = (HERE / "dglmeta" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def packages() -> list[str]:
    """Every package by its installed name."""
    own = find_packages(include=["dglmeta", "dglmeta.*"])
    kernels = [f"dglmeta.kernels.{name}" for name in find_packages("kernels")]
    bench = [f"dglmeta.bench.{name}" for name in find_packages("bench")]
    return [*own, "dglmeta.kernels", *kernels, "dglmeta.bench", *bench]


CORE = [
    "dgl>=1.1.3",
    "networkx>=3.2",
    "numba>=0.60",
    "numpy>=1.26",
    # DGL imports these two and does not say so: packaging always, pandas from 2.1.0 on, the only
    # release for Python 3.12.
    "packaging>=23",
    "pandas>=2.1; python_version >= '3.12'",
    "pooch>=1.8",
    "pyarrow>=14",
    "pymetis>=2025.2",
    "scikit-learn>=1.4",
    "scipy>=1.12",
    "threadpoolctl>=3",
    "torch>=2.4",
    "tqdm>=4.66",
]

EXTRAS = {
    # CuPy for the CUDA that torch is built for; `dglmeta doctor` says which that is.
    "gpu": ["cupy-cuda13x>=13.6"],
    "gpu-cuda12": ["cupy-cuda12x>=13"],
    "dist": ["dask[distributed]>=2024.1"],
    "report": ["matplotlib>=3.8", "jinja2>=3.1"],
    "track": ["tensorboard>=2.15"],
    "interop": ["pandas>=2.1", "torch_geometric>=2.5"],
    "bench": ["psutil>=5.9", "pytest>=8.2", "pytest-benchmark>=4", "torch_geometric>=2.5"],
    "baselines": ["gensim>=4.4"],
    # What benchmarks compare with beyond SciPy, DGL and PyG; a benchmark leaves out what is absent.
    "rivals": ["mkl>=2024", "python-graphblas[default]>=2024.2", "sparse-dot-mkl>=0.9.4"],
    "dev": [
        "beartype>=0.18",
        "hypothesis>=6.100",
        "import-linter>=2",
        "jaxtyping>=0.2.28",
        "mypy>=1.10",
        "pytest>=8.2",
        "pytest-xdist>=3.6",
        "ruff>=0.6",
        "setuptools>=77",
    ],
}

setup(
    name="dglmeta",
    version=version(),
    description="Auxiliary and meta learning on large heterogeneous graphs, on DGL and torch.func",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["graph neural networks", "heterogeneous graphs", "meta-learning", "meta-paths"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.13",
    packages=packages(),
    package_dir={"dglmeta.kernels": "kernels", "dglmeta.bench": "bench"},
    package_data={
        "dglmeta": ["py.typed", "configs/*.toml", "report/*.jinja"],
        "dglmeta.kernels.gpu": ["*.cu", "*.cuh"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["dglmeta=dglmeta.cli:main"]},
)
