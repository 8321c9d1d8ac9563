"""Several processes behind one address: a supervisor, its workers, and what a service manager says.

Called by the command line. The supervisor's side::

    supervisor = Supervisor([sys.executable, "app.py"], sockets, workers=4)
    status = asyncio.run(supervisor.run())

and the worker's, within its event loop::

    link = WorkerLink.from_environment()  # None: this process is no worker
    link.start(on_drain=begin_to_drain, figures=count)
    ...  # start the application, accept on link.sockets
    link.ready()

Nothing here serves requests, and nothing knows of HTTP.
"""

from tornadoish.supervisor.link import WorkerLink
from tornadoish.supervisor.policy import Figures, Policy, WorkerView
from tornadoish.supervisor.supervisor import Supervisor
from tornadoish.supervisor.systemd import Notifier, inherited_sockets, listening_socket

__all__ = [
    "Figures",
    "Notifier",
    "Policy",
    "Supervisor",
    "WorkerLink",
    "WorkerView",
    "inherited_sockets",
    "listening_socket",
]
