# Mistakes that Snakemake's own reading of the configuration hides or reports without a place: broken YAML, and
# keys that stand twice.
import sys

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.internals import own_configuration_files

try:
    for path in own_configuration_files(workflow):
        if path.is_file():
            read_yaml(path)
except InputError as error:
    sys.exit(error.for_terminal())
