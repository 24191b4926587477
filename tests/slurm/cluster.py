"""A Slurm cluster of two nodes on one machine, for tests. It uses Debian's packages; daemons are child processes.

A node is a process namespace. If it is killed, all processes of its jobs end too, as on a lost machine.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")  # not another path: the inner srun of Snakemake's plugin loses SLURM_CONF
GENERIC_RESOURCES = CONFIGURATION.with_name("gres.conf")
ACCOUNTING = CONFIGURATION.with_name("slurmdbd.conf")
STATE = Path("/run/bnpipe-slurm")
OURS = "# Written by bnpipe's tests.\n"
PACKAGES = ("slurm-wlm", "munge", "slurmdbd", "mariadb-server-core")
DAEMONS = ("slurmctld", "slurmd", "munged", "slurmdbd", "mariadbd")
CLUSTER = "bnpipe"
NODES = ("bnpipe1", "bnpipe2")
FIRST_PORT = 26817
ACCOUNTING_PORT = 26820
INSTALLATION_LIMIT = 300  # seconds, like all limits here
START_LIMIT = 60
COMMAND_LIMIT = 60


class Unavailable(Exception):  # noqa: N818 - not an error: a machine that cannot run the cluster
    """This machine cannot run the cluster. The message says why, in one line."""


class Cluster:
    """The running cluster. It holds its processes by name: the names in `DAEMONS` and those of the nodes."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all daemons and wait until both nodes are idle. Raises TimeoutError if that takes too long."""
        self._launch("munged", munged())
        wait_until(lambda: succeeds("munge", "-n", "-S", str(STATE / "munge.socket")), START_LIMIT, "munged to answer")
        self._launch("mariadbd", mariadbd())
        wait_until((STATE / "mariadb.socket").exists, START_LIMIT, "mariadbd to answer")
        self.start_accounting()
        run("sacctmgr", "--immediate", "add", "cluster", CLUSTER)
        self.start_controller("-c")
        for node in NODES:
            self.start_node(node)

    def start_accounting(self) -> None:
        """Start the accounting daemon, and wait until it answers. Raises TimeoutError if that takes too long."""
        self._launch("slurmdbd", ["env", f"MYSQL_UNIX_PORT={STATE}/mariadb.socket", "slurmdbd", "-D"])
        wait_until(lambda: succeeds("sacctmgr", "--noheader", "list", "cluster"), START_LIMIT, "slurmdbd to answer")

    def start_controller(self, *options: str) -> None:
        """Start the controller and wait until it answers. Raises TimeoutError if that takes too long.

        options: of `slurmctld`; with `-c` it forgets all jobs.
        """
        self._launch("slurmctld", ["slurmctld", "-D", *options])
        wait_until(lambda: succeeds("scontrol", "ping"), START_LIMIT, "slurmctld to answer")

    def start_node(self, node: str) -> None:
        """Start or restart a node, and wait until it is idle. Raises TimeoutError if that takes too long."""
        self._launch(node, slurmd(node))
        wait_until(lambda: state_of(node) == "idle", START_LIMIT, f"node {node} to be idle")

    def kill(self, name: str) -> None:
        """Kill a daemon. If it is a node, all processes of its jobs end at once."""
        self.processes[name].kill()
        self.processes.pop(name).wait(START_LIMIT)

    def stop(self) -> None:
        """Stop the daemons in reverse order of their start."""
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait(START_LIMIT)
        self.processes.clear()

    def _launch(self, name: str, command: list[str]) -> None:
        with (STATE / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Install, configure and start the cluster, and stop it in the end.

    Raises Unavailable if this machine cannot run it, and TimeoutError if a daemon takes too long.
    """
    install()
    configure()
    running = Cluster()
    try:
        running.start()
        yield running
    finally:
        running.stop()
        for path in (CONFIGURATION, GENERIC_RESOURCES, ACCOUNTING):
            path.unlink()
        shutil.rmtree(STATE)


def install() -> None:
    """Install the packages that are missing. Raises Unavailable if that fails."""
    if os.geteuid() != 0:
        raise Unavailable("the test cluster needs root to install and start Slurm")
    if all(map(shutil.which, DAEMONS)):
        return
    if not shutil.which("apt-get"):
        raise Unavailable("the test cluster needs Slurm and munge, or apt-get to install them")
    apt_get("update")
    apt_get("install", "--yes", "--no-install-recommends", *PACKAGES)


def apt_get(*arguments: str) -> None:
    """Run apt-get without questions. Raises Unavailable if it fails, and TimeoutExpired if it takes too long."""
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLATION_LIMIT, check=False)
    if done.returncode:
        raise Unavailable(f"apt-get {arguments[0]}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


def configure() -> None:
    """Write the configuration and munge's key. Raises Unavailable if the machine has a Slurm of its own."""
    for path in (CONFIGURATION, GENERIC_RESOURCES, ACCOUNTING):
        if path.exists() and not path.read_text(encoding="utf-8").startswith(OURS):
            raise Unavailable(f"{path} belongs to another Slurm")
    shutil.rmtree(STATE, ignore_errors=True)
    for folder in (STATE, STATE / "controller", STATE / "mariadb", *(STATE / node for node in NODES)):
        folder.mkdir(mode=0o755)
    key = STATE / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text(configuration(), encoding="utf-8")
    GENERIC_RESOURCES.write_text(f"{OURS}NodeName={','.join(NODES)} Name=gpu File=/dev/null\n", encoding="utf-8")
    ACCOUNTING.touch(mode=0o600)
    ACCOUNTING.write_text(accounting(), encoding="utf-8")


def configuration() -> str:
    """Return slurm.conf. Each node has two processors and a pretended GPU."""
    nodes = "".join(
        f"NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={FIRST_PORT + 1 + index}"
        " CPUs=2 RealMemory=8000 Gres=gpu:1\n"
        for index, node in enumerate(NODES)
    )
    return f"""{OURS}ClusterName={CLUSTER}
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={FIRST_PORT}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={STATE}/munge.socket,cred_expire=15
StateSaveLocation={STATE}/controller
SlurmdSpoolDir={STATE}/%n
SlurmctldPidFile={STATE}/slurmctld.pid
SlurmdPidFile={STATE}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/slurmdbd
AccountingStoragePort={ACCOUNTING_PORT}
AccountingStoragePass={STATE}/munge.socket
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=10
MinJobAge=300
SchedulerParameters=sched_interval=2
{nodes}PartitionName=all Nodes={",".join(NODES)} Default=YES State=UP
"""


def accounting() -> str:
    """Return slurmdbd.conf."""
    return f"""{OURS}DbdHost=localhost
DbdPort={ACCOUNTING_PORT}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={STATE}/munge.socket
PidFile={STATE}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageUser=root
"""


def mariadbd() -> list[str]:
    """Return the command of the accounting database. It needs no user accounts: it does not listen to a network."""
    places = {"datadir": "mariadb", "socket": "mariadb.socket", "pid-file": "mariadb.pid"}
    given = ["--no-defaults", "--user=root", "--skip-networking", "--skip-grant-tables"]
    return ["mariadbd", *given, *(f"--{option}={STATE / name}" for option, name in places.items())]


def munged() -> list[str]:
    """Return the command of munge, the daemon that authenticates users."""
    places = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.messages",
        "seed-file": "munged.seed",
    }
    return ["munged", "--foreground", *(f"--{option}={STATE / name}" for option, name in places.items())]


def slurmd(node: str) -> list[str]:
    """Return the command of a node, which has its own host name and process namespace."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
    return [*namespace, "sh", "-c", f"hostname {node} && exec slurmd -D -N {node}"]


def state_of(node: str) -> str:
    """Return a node's state, `idle` or `down*` for example."""
    return run("sinfo", "--noheader", "--nodes", node, "--format", "%t").strip()


def run(*command: str) -> str:
    """Return what a command of Slurm prints. Raises CalledProcessError if it fails, TimeoutExpired if it hangs."""
    return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_LIMIT, check=True).stdout


def succeeds(*command: str) -> bool:
    """Return whether a command succeeds."""
    return subprocess.run(command, capture_output=True, timeout=COMMAND_LIMIT, check=False).returncode == 0


def wait_until(condition: Callable[[], bool], limit: float, awaited: str) -> None:
    """Wait at most `limit` seconds for a condition. After that, raises TimeoutError that names what was awaited."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit} s for {awaited}")
        time.sleep(0.2)
