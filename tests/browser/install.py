"""Install Debian's Chromium if there is none: `python -m tests.browser.install`, as root on Debian or Ubuntu."""

import os
import shutil
import subprocess
import sys

INSTALLATION_LIMIT = 600  # seconds
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Unavailable(Exception):  # noqa: N818 - not an error: a machine without a browser
    """This machine has no browser and cannot get one. The message says why, in one line."""


def browser() -> str | None:
    """Return the path of a Chromium-based browser, or None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def install() -> str:
    """Return the path of the browser, and install it first if it is missing. Raises Unavailable if that fails."""
    found = browser()
    if found:
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable("Chromium is missing; install it as root on Debian or Ubuntu")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-q", "update"], ["apt-get", "-qy", "--no-install-recommends", "install", "chromium"]):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALLATION_LIMIT, check=False
        )
        if done.returncode:
            raise Unavailable(f"{' '.join(command)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    found = browser()
    if not found:
        raise Unavailable("apt-get installed chromium, but no browser was found")
    return found


if __name__ == "__main__":
    try:
        print(install())
    except Unavailable as reason:
        sys.exit(f"error: {reason}")
