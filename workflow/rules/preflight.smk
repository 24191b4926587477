# What is checked and provided before anything else is read.
#
# The configuration files are read first, because Snakemake keeps no lines, drops all but the last of equal keys and
# reports broken YAML without its place.
import sys
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml_file
from bnpipe.grid.internals import folder_of_rules, own_configuration_files, quote_interpreter, stop_when_hung_up
from bnpipe.grid.surroundings import check_folder, provide_home

stop_when_hung_up()
quote_interpreter()
provide_home(Path(".snakemake/home"))

try:
    check_folder(folder_of_rules(workflow))
    configuration_files = [read_yaml_file(path) for path in own_configuration_files(workflow) if path.is_file()]
except InputError as error:
    sys.exit(error.for_terminal())
