# Mistakes that Snakemake's own reading of the configuration hides or reports without a place: broken YAML, and
# keys that stand twice.
import sys
from pathlib import Path

from bnpipe.errors import InputError
from bnpipe.yaml_files import read_yaml

try:
    for path in [Path("config.yaml"), *map(Path, workflow.overwrite_configfiles)]:
        if path.is_file():
            read_yaml(path)
except InputError as error:
    sys.exit(error.for_terminal())
