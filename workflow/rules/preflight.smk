# Reads the configuration files first, because Snakemake keeps no lines, drops all but the last of equal keys and reports
# broken YAML without its place.
import sys

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml_file
from bnpipe.grid.internals import own_configuration_files

try:
    configuration_files = [read_yaml_file(path) for path in own_configuration_files(workflow) if path.is_file()]
except InputError as error:
    sys.exit(error.for_terminal())
