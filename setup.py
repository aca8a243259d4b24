"""Which packages are installed: the floors of the house, all of them below `taylorvit`.

Everything else that setuptools has to know is in pyproject.toml, which has no way to say this.
"""

from setuptools import find_packages, setup

FLOORS = ("boundary", "rtl", "golden", "gen", "fpga")

setup(
    packages=["taylorvit", *(f"taylorvit.{room}" for room in find_packages("taylorvit"))]
    + [
        f"taylorvit.{room}"
        for floor in FLOORS
        for room in (floor, *(f"{floor}.{each}" for each in find_packages(floor)))
    ],
    package_dir={"taylorvit": "taylorvit"} | {f"taylorvit.{floor}": floor for floor in FLOORS},
)
