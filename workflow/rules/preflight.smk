# What is checked and provided before anything else is read.
#
# The configuration is read before Snakemake reads it, which keeps no lines, drops all but the last of equal keys and
# reports broken YAML without its place. Another workflow that uses this one as a module has read it already.
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
    # All that comes from a command line is text there: each key decides whether it is to be a number.
    given = Given(unquoted(config)) if is_module(workflow) else read_given(*configuration_of_command_line(workflow))
except InputError as error:
    sys.exit(error.for_terminal())
