"""Builds the C++ backend of ``dien.ops``; everything else about the package stands in pyproject.toml.

The library is no Python extension: it is loaded with ctypes and links to neither Python nor PyTorch. One
wheel therefore serves every Python 3 on a platform. Where it can't be built, installation goes on without it.
"""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

OPS = Path("src/dien/ops")


class BuildLibrary(build_ext):
    """Names the library the same for every Python."""

    def get_ext_filename(self, fullname: str) -> str:
        """Leave out the suffix of Python extensions."""
        return str(Path(*fullname.split(".")).with_suffix(".so"))


class PlatformWheel(bdist_wheel):
    """Tags the wheel for the platform and any Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """Take the platform from the usual tag."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "dien.ops.cpu._kernels",
            sources=sorted(str(file) for file in OPS.rglob("*.cpp")),
            depends=sorted(str(file) for file in OPS.rglob("*.h")),
            include_dirs=[str(OPS)],
            # Standard floating point: sums keep their order and NaN stays NaN.
            extra_compile_args=[
                "-std=c++17",
                "-O3",
                "-g0",
                "-fno-math-errno",
                "-fvisibility=hidden",
                "-Wno-psabi",
            ],
            language="c++",
            optional=True,
        )
    ],
    exclude_package_data={"": ["*.cpp", "*.h"]},
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": PlatformWheel},
)
