"""What a new data directory needs before it can serve: the schema, the first accounts, flavors and the public image.

Every part looks before it makes, so starting again changes nothing and a start that was cut short is finished.
"""

import asyncio
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import structlog
import yaml

from stillframe.blobs.digests import file_digests
from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db.migrations import migrate
from stillframe.flavors import service as flavors
from stillframe.guest import PUBLIC_IMAGE, default_cache_dir, public_image
from stillframe.identity.service import FirstAccount, bootstrap_accounts
from stillframe.images import service as images
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import derived_uuid
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.metadefs import service as metadefs
from stillframe.qemu import img

log = structlog.get_logger("stillframe.bootstrap")


async def bootstrap(resources: Resources) -> None:
    settings, layout = resources.settings, resources.layout
    await migrate(settings.db_url)
    async with resources.database.writing() as tx:
        await flavors.bootstrap_flavors(tx)
        accounts = await bootstrap_accounts(
            tx,
            resources.token_keys,
            region=settings.region,
            admin_password=secrets.token_urlsafe(18),
            user_password=secrets.token_urlsafe(18),
        )
        if accounts:
            await metadefs.bootstrap_namespaces(tx)
            # Written before the commit: credentials nobody can read would lock everybody out, while a file without
            # accounts is simply written again by the next start.
            write_credentials(settings, layout, accounts)
    if not accounts:
        refresh_urls(settings, layout)
    await _register_public_image(resources)


def write_credentials(settings: Settings, layout: DataLayout, accounts: list[FirstAccount]) -> None:
    """clouds.yaml and openrc, readable by their owner only."""
    clouds = {account.cloud: _cloud(settings, account) for account in accounts}
    _write_private(layout.clouds_yaml, yaml.safe_dump({"clouds": clouds}, sort_keys=False))
    user = next(account for account in accounts if account.cloud == "stillframe")
    _write_private(layout.openrc, _openrc(settings, user))


def refresh_urls(settings: Settings, layout: DataLayout) -> None:
    """Another port offset or host since the last start: the same credentials at their new addresses."""
    try:
        clouds = yaml.safe_load(layout.clouds_yaml.read_text())["clouds"]
        accounts = [_account_of(name, cloud) for name, cloud in clouds.items()]
        current = all(cloud["auth"]["auth_url"] == f"{settings.url('identity')}/v3" for cloud in clouds.values())
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        log.warning("bootstrap.clouds_yaml_not_ours", path=str(layout.clouds_yaml))
        return
    if not current:
        write_credentials(settings, layout, accounts)


def _account_of(name: str, cloud: dict[str, Any]) -> FirstAccount:
    auth = cloud["auth"]
    return FirstAccount(
        cloud=name,
        user_name=auth["username"],
        password=auth["password"],
        project_name=auth["project_name"],
        domain_name=auth["user_domain_name"],
        access_key=cloud["ak"],
        secret_key=cloud["sk"],
    )


def _cloud(settings: Settings, account: FirstAccount) -> dict[str, object]:
    return {
        "auth": {
            "auth_url": f"{settings.url('identity')}/v3",
            "username": account.user_name,
            "password": account.password,
            "project_name": account.project_name,
            "user_domain_name": account.domain_name,
            "project_domain_name": account.domain_name,
        },
        "region_name": settings.region,
        "interface": "public",
        "identity_api_version": 3,
        "ak": account.access_key,
        "sk": account.secret_key,
    }


def _openrc(settings: Settings, account: FirstAccount) -> str:
    variables = {
        "OS_AUTH_URL": f"{settings.url('identity')}/v3",
        "OS_USERNAME": account.user_name,
        "OS_PASSWORD": account.password,
        "OS_PROJECT_NAME": account.project_name,
        "OS_USER_DOMAIN_NAME": account.domain_name,
        "OS_PROJECT_DOMAIN_NAME": account.domain_name,
        "OS_DOMAIN_NAME": account.domain_name,
        "OS_REGION_NAME": settings.region,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_INTERFACE": "public",
        "OS_ACCESS_KEY": account.access_key,
        "OS_SECRET_KEY": account.secret_key,
        "S3_ENDPOINT_URL": settings.url("obs"),
    }
    return "".join(f"export {name}='{value}'\n" for name, value in variables.items())


def _write_private(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


async def _register_public_image(resources: Resources) -> None:
    """The tiny Linux, stored like any other image and visible to every project."""
    image_id = derived_uuid("public-image", PUBLIC_IMAGE.name)
    layer_id = derived_uuid("public-layer", PUBLIC_IMAGE.name)
    async with resources.database.reading() as tx:
        if await images.is_registered(tx, image_id):
            return
    source = await asyncio.to_thread(public_image, default_cache_dir())
    async with resources.database.writing() as tx:
        await layers.plan_blob(tx, layer_id, "qcow2")
        layer = await layers.get_layer(tx, layer_id)
    path = files.layer_path(resources.layout, layer)
    await asyncio.to_thread(shutil.copyfile, source, path)
    await files.sync(path)
    digests = await file_digests(path)
    info = await img.info(layers.link(resources.layout, layer))
    async with resources.database.writing() as tx:
        await layers.seal(
            tx,
            layer_id,
            stored_bytes=digests.size_bytes,
            virtual_size_bytes=info.virtual_size_bytes,
            md5=digests.md5,
            sha512=digests.sha512,
        )
        await images.register_public_image(tx, image_id, PUBLIC_IMAGE, layer=await layers.get_layer(tx, layer_id))
    log.info("bootstrap.public_image", image=image_id)
