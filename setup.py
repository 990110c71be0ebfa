"""What pyproject.toml cannot say: the wheel takes the repository's `bundles/` along, as the package `monai_hybrid._bundles`.

In the repository they stay where `python -m monai.bundle run --config_file bundles/...` finds them, and nothing is there twice.
"""

from setuptools import find_packages, setup

BUNDLES = "monai_hybrid._bundles"

setup(
    packages=[*find_packages(include=["monai_hybrid*", "data_prep*"]), BUNDLES],
    package_dir={BUNDLES: "bundles"},
    package_data={
        BUNDLES: ["*/LICENSE", "*/configs/*.json", "*/configs/logging.conf", "*/docs/*.md"],
        "data_prep": ["schemas/*.json"],
        "monai_hybrid": [
            *("bundle/*.json", "catalogue/*.json", "models/*", "exporting/*.json"),
            *("reporting/templates/*", "reporting/vendor/*", "viewing/page/*"),
        ],
    },
)
