"""Write the files and print their contents' numbers."""

import argparse
from pathlib import Path

from benchmarks.full_scale.files import FOLDER, full_scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    written = full_scale(options.fraction, options.folder)
    print(written)
    for path in sorted(written.folder.rglob("*.json")):
        print(f"{path.relative_to(written.folder)}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
