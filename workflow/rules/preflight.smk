# Reads the configuration files first, because Snakemake keeps no lines, drops all but the last of equal keys and reports
# broken YAML without its place. A module gets its configuration from the workflow that uses it, so its own files do not
# matter then.
import sys
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml_file

own_files = [] if workflow.modifier.skip_configfile else ["config.yaml", *workflow.overwrite_configfiles]
try:
    configuration_files = [read_yaml_file(path) for path in map(Path, own_files) if path.is_file()]
except InputError as error:
    sys.exit(error.for_terminal())
