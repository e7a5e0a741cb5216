#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_model MODEL.pml: the model holds, and each of its weakenings fails.

The weakenings are the names that the model's first comment lists as -DNAME. Needs spin and cc.
"""
import pathlib
import re
import subprocess
import sys
import tempfile


def check(model, folder, weakening):
    """Returns (states, errors) of an exhaustive search; the first error ends it."""
    define = [f"-D{weakening}"] if weakening else []
    subprocess.run(["spin", "-a", *define, str(model)], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    # Depth and memory are bounded; a search that does not fit is a failure, not a pass.
    subprocess.run(["cc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=2048", "-o", "pan", "pan.c"],
                   cwd=folder, check=True)
    out = subprocess.run(["./pan", "-m200000"], cwd=folder, check=False, capture_output=True,
                         text=True).stdout
    errors = int(re.search(r"errors: (\d+)", out).group(1))
    states = int(float(re.search(r"([\d.e+]+) states, stored", out).group(1)))
    if errors == 0 and ("Search not completed" in out or "max search depth too small" in out):
        sys.exit(f"the search was not completed:\n{out}")
    if errors and "assertion violated" not in out and "assertion" not in out:
        sys.exit(f"it failed, but by no assertion:\n{out}")
    return states, errors


def main():
    model = pathlib.Path(sys.argv[1]).resolve()
    weakenings = re.findall(r"-D(\w+)", model.read_text().split("#define", 1)[0])
    if len(weakenings) < 3:
        sys.exit("fewer than three weakenings: how is it known that the model can fail?")
    failed = False
    for weakening in [None, *weakenings]:
        with tempfile.TemporaryDirectory() as folder:
            states, errors = check(model, folder, weakening)
        right = (errors == 0) == (weakening is None)
        failed = failed or not right
        print(f"{weakening or 'as it is'}: {states} states, {errors} errors: "
              f"{'right' if right else 'WRONG'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
