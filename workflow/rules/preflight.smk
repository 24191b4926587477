# What is checked and provided before anything else is read.
#
# The configuration is read here before Snakemake reads it, because Snakemake keeps no line numbers, drops all but the
# last of equal keys and reports broken YAML without its place. A workflow that uses this one as a module has read the
# configuration already.
import sys
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import unquoted
from bnpipe.grid.given import Given, read_given
from bnpipe.grid.internals import (
    configuration_of_command_line,
    folder_of_rules,
    is_module,
    quote_interpreter,
    stop_when_hung_up,
)
from bnpipe.grid.surroundings import check_folder, provide_home

stop_when_hung_up()
quote_interpreter()
provide_home(Path(".snakemake/home"))

try:
    check_folder(folder_of_rules(workflow))
    # There, values from a command line are text, and each key decides whether its value is a number.
    given = Given(unquoted(config)) if is_module(workflow) else read_given(*configuration_of_command_line(workflow))
except InputError as error:
    sys.exit(error.for_terminal())
