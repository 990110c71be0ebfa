"""Say whether a bundle is one of ours with other settings, or not; nothing of it is run.

    python -m monai_hybrid.audit BUNDLE [--json FILE]

BUNDLE is a folder or a zip file. Exit code 0: every configuration is that of the installed version but for plain settings,
and every other file is weights, a document, a picture or what our own runs write. Exit code 2: anything else, named.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from data_prep.amounts import few
from data_prep.endings import told_of
from data_prep.home import at_home
from data_prep.interrupts import end_in_order, told
from data_prep.json_io import dump_json
from data_prep.result_files import VERDICT, refuse_other
from monai_hybrid.audit.verdict import audit

SHOWN = 8


def main(argv: list[str] | None = None) -> int:
    """Print the verdict; the exit code says it too."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="monai-hybrid audit", description=__doc__, formatter_class=style)
    parser.add_argument("bundle", help="folder or zip file")
    parser.add_argument("--json", type=Path, help="write the verdict to this file")
    args = parser.parse_args(argv)
    end_in_order()
    try:
        with told():
            args.bundle, args.json = str(at_home(args.bundle)), args.json and at_home(args.json)
            if args.json:
                refuse_other(args.json, VERDICT)
            verdict = audit(args.bundle)
            if args.json:
                dump_json(asdict(verdict), args.json, VERDICT)
    except Exception as error:
        return told_of(error)
    for line in verdict.settings:
        print(f"setting  {_plain(line)}")
    for finding in verdict.findings:
        print(f"NOT OURS {_plain(str(finding))}")
    if verdict.findings:
        shown = few([_plain(str(finding)) for finding in verdict.findings], SHOWN, "; ")
        print(f"error: {args.bundle}: not one of ours: these entries run code, or may: {shown}", file=sys.stderr)
        return 2
    print(
        f"{args.bundle}: ours ({verdict.like}), {len(verdict.settings)} other settings, {verdict.others} files beside",
        flush=True,
    )
    return 0


def _plain(text: str) -> str:
    """One printable line: a bundle's text cannot steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


if __name__ == "__main__":
    sys.exit(main())
