"""The configuration of Keystone and Glance: their defaults, SQLite and files in one directory, tokens in memcached."""

import sqlite3
from pathlib import Path

import msgspec

ADMIN_PASSWORD = "administrator"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    directory: Path
    environment: Path
    keystone: str
    glance: str
    memcached: str


_KEYSTONE = """
[DEFAULT]
log_file = {directory}/keystone.log
public_endpoint = {keystone}/
[database]
connection = sqlite:///{directory}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {directory}/fernet-keys
[fernet_receipts]
key_repository = {directory}/fernet-keys
[credential]
key_repository = {directory}/credential-keys
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = {memcached}
"""

_GLANCE = """
[DEFAULT]
log_file = {directory}/glance.log
enabled_backends = files:file
node_staging_uri = file://{directory}/staging
public_endpoint = {glance}
workers = 0
[oslo_concurrency]
lock_path = {directory}/locks
[database]
connection = sqlite:///{directory}/glance.db
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {directory}/images
[os_glance_staging_store]
filesystem_store_datadir = {directory}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {directory}/tasks
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = admin
username = admin
password = {password}
memcached_servers = {memcached}
[paste_deploy]
flavor = keystone
config_file = {environment}/etc/glance/glance-api-paste.ini
"""

_UWSGI = """
[uwsgi]
http-socket = {address}
module = {name}.wsgi.api:application
processes = 2
threads = 1
master = true
lazy-apps = true
enable-threads = true
thunder-lock = true
die-on-term = true
need-app = true
disable-logging = true
buffer-size = 65535
add-header = Connection: close
"""


def write(places: Places) -> None:
    for name in ("staging", "locks", "images", "tasks"):
        (places.directory / name).mkdir()
    values = {name: getattr(places, name) for name in places.__struct_fields__} | {"password": ADMIN_PASSWORD}
    (places.directory / "keystone.conf").write_text(_KEYSTONE.format(**values))
    (places.directory / "glance-api.conf").write_text(_GLANCE.format(**values))
    for name, url in (("keystone", places.keystone), ("glance", places.glance)):
        text = _UWSGI.format(address=url.removeprefix("http://"), name=name)
        (places.directory / f"{name}.ini").write_text(text)
        # Not SQLite's default: with a log, readers and writers do not wait for each other.
        database = sqlite3.connect(places.directory / f"{name}.db")
        database.execute("PRAGMA journal_mode = wal")
        database.close()
