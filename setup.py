"""Which packages are installed: the floors of the house, all of them below `taylorvit`.

Everything else that setuptools has to know is in pyproject.toml, which has no way to say this.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

FLOORS = ("boundary", "rtl", "golden", "gen", "fpga")


class BuildFromNothing(build_py):
    """Copies the packages into an empty folder.

    All that is there becomes a part of the wheel, also what a build of an earlier state of the checkout has left.
    """

    def run(self):
        """Carries out the command; a folder of the user's choice is left as it is."""
        folder = Path(self.build_lib)
        if folder == Path("build", "lib") and folder.is_dir():
            shutil.rmtree(folder)
        super().run()


setup(
    cmdclass={"build_py": BuildFromNothing},
    packages=["taylorvit", *(f"taylorvit.{room}" for room in find_packages("taylorvit"))]
    + [
        f"taylorvit.{room}"
        for floor in FLOORS
        for room in (floor, *(f"{floor}.{each}" for each in find_packages(floor)))
    ],
    package_dir={"taylorvit": "taylorvit"} | {f"taylorvit.{floor}": floor for floor in FLOORS},
)
