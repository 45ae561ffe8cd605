"""Updates by playbooks that a site has already: Ansible, run by Ansible Runner, on nodes, switches and other devices.

Both are run as commands. A run goes on when the process that began it ends. See docs/playbooks.md.
"""

from fermata.adapters.playbook.build import KIND, PORTS, build
from fermata.adapters.playbook.settings import Settings

__all__ = ["KIND", "PORTS", "Settings", "build"]
