"""Who may do what: every operation of every service, one line each, a file for each service.

    open     nobody has to say who they are
    token    whoever has a token, for whatever
    scoped   whoever has a token for a project, a domain or the system
    self     the user in the path, and who manages them
    owner    the user in the path, and an administrator of the platform
    own      the user in the path only
    reader   whoever holds a role on the token's project
    member   `member`, `te_admin` or `admin` on the token's project
    manager  `te_admin` for what lies in the domain, `admin` for everything
    admin    `admin`

A line is a rule, a method, a path and, for images, the `ims:` action that Open Telekom Cloud calls the operation; HEAD
is judged like GET. Which of the things behind a path a caller sees is for the service: what belongs to others is not
found, whatever the role. Paths that differ in the version only are there once. What is in no line yet is for readers
when it only looks, and for members else.
"""

from stillframe.identity.policy_table import compute, identity, image, network, volume

TABLES = {
    "identity": identity.TABLE,
    "image": image.TABLE,
    "compute": compute.TABLE,
    "volume": volume.TABLE,
    "network": network.TABLE,
}
