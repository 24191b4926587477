# Reads the configuration before Snakemake does, which keeps no lines, drops all but the last of equal keys and reports
# broken YAML without its place. Another workflow that uses this one as a module has read it already.
import sys

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import unquoted
from bnpipe.grid.given import Given, read_given
from bnpipe.grid.internals import configuration_of_command_line, is_module

try:
    # All that comes from a command line is text there: each key decides whether it is to be a number.
    given = Given(unquoted(config)) if is_module(workflow) else read_given(*configuration_of_command_line(workflow))
except InputError as error:
    sys.exit(error.for_terminal())
