"""A Slurm cluster of two nodes on one machine, for tests: Debian's packages, every daemon a child of this process.

A node is a process namespace: killed, it takes all processes of its jobs along, as a lost machine does.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")  # the inner srun of Snakemake's plugin loses SLURM_CONF
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
INSTALLATION_LIMIT = 300  # seconds, as all limits here
START_LIMIT = 60
COMMAND_LIMIT = 60


class Unavailable(Exception):  # noqa: N818 - no error: a machine that cannot hold the cluster
    """This machine cannot hold the cluster; the message says why, in one line."""


class Cluster:
    """The running cluster: its processes by name, which are those of `DAEMONS` and the nodes."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all daemons and wait until both nodes are idle. Raises TimeoutError."""
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
        """Start the daemon that `sacct` asks, and wait until it answers. Raises TimeoutError."""
        self._launch("slurmdbd", ["env", f"MYSQL_UNIX_PORT={STATE}/mariadb.socket", "slurmdbd", "-D"])
        wait_until(lambda: succeeds("sacctmgr", "--noheader", "list", "cluster"), START_LIMIT, "slurmdbd to answer")

    def start_controller(self, *options: str) -> None:
        """Start the controller, with `-c` one that knows of no job, and wait until it answers. Raises TimeoutError."""
        self._launch("slurmctld", ["slurmctld", "-D", *options])
        wait_until(lambda: succeeds("scontrol", "ping"), START_LIMIT, "slurmctld to answer")

    def start_node(self, node: str) -> None:
        """Start a node, lost ones again, and wait until it is idle. Raises TimeoutError."""
        self._launch(node, slurmd(node))
        wait_until(lambda: state_of(node) == "idle", START_LIMIT, f"node {node} to be idle")

    def kill(self, name: str) -> None:
        """Kill a daemon; with a node all processes of its jobs at once."""
        self.processes[name].kill()
        self.processes.pop(name).wait(START_LIMIT)

    def stop(self) -> None:
        """Stop what was started, last first."""
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
    """Install, configure and start the cluster; stop it in the end. Raises Unavailable, TimeoutError."""
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
    """Install the packages where they are missing. Raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("the test cluster needs root, to install and to start Slurm")
    if all(map(shutil.which, DAEMONS)):
        return
    if not shutil.which("apt-get"):
        raise Unavailable("the test cluster needs Slurm and munge, or apt-get to install them")
    apt_get("update")
    apt_get("install", "--yes", "--no-install-recommends", *PACKAGES)


def apt_get(*arguments: str) -> None:
    """Run apt-get, which asks nothing. Raises Unavailable, TimeoutExpired."""
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLATION_LIMIT, check=False)
    if done.returncode:
        raise Unavailable(f"apt-get {arguments[0]}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


def configure() -> None:
    """Write the configuration and munge's key. Raises Unavailable where the machine has a Slurm of its own."""
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
    """Return slurm.conf: two processors and a pretended GPU each."""
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
    """Return the command of the accounting's database, without users of its own: it listens to no network."""
    places = {"datadir": "mariadb", "socket": "mariadb.socket", "pid-file": "mariadb.pid"}
    given = ["--no-defaults", "--user=root", "--skip-networking", "--skip-grant-tables"]
    return ["mariadbd", *given, *(f"--{option}={STATE / name}" for option, name in places.items())]


def munged() -> list[str]:
    """Return the command of the daemon that vouches for users."""
    places = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.messages",
        "seed-file": "munged.seed",
    }
    return ["munged", "--foreground", *(f"--{option}={STATE / name}" for option, name in places.items())]


def slurmd(node: str) -> list[str]:
    """Return the command of a node: a host name and processes of its own."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
    return [*namespace, "sh", "-c", f"hostname {node} && exec slurmd -D -N {node}"]


def state_of(node: str) -> str:
    """Return a node's state, `idle` or `down*` for example."""
    return run("sinfo", "--noheader", "--nodes", node, "--format", "%t").strip()


def run(*command: str) -> str:
    """Return what a command of Slurm prints. Raises CalledProcessError and TimeoutExpired."""
    return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_LIMIT, check=True).stdout


def succeeds(*command: str) -> bool:
    """Return whether a command succeeds."""
    return subprocess.run(command, capture_output=True, timeout=COMMAND_LIMIT, check=False).returncode == 0


def wait_until(condition: Callable[[], bool], limit: float, awaited: str) -> None:
    """Wait for a condition, at most `limit` seconds. Raises TimeoutError that names what was awaited."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit} s for {awaited}")
        time.sleep(0.2)
