# Mistakes that Snakemake's own reading of the configuration hides or reports without a place: broken YAML, and
# keys that stand twice. A module is handed its configuration: the files are then another workflow's.
import sys
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml

own_files = [] if workflow.modifier.skip_configfile else ["config.yaml", *workflow.overwrite_configfiles]
try:
    for path in map(Path, own_files):
        if path.is_file():
            read_yaml(path)
except InputError as error:
    sys.exit(error.for_terminal())
