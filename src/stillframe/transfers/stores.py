"""The object store as one project sees it: with a key of its own, so that it reaches its own buckets and no others."""

from stillframe.blobs.object_store import ObjectStore, ObjectStoreSettings
from stillframe.identity.service import service_access_key
from stillframe.jobs.resources import Resources


async def store_of_project(resources: Resources, project_id: str) -> ObjectStore:
    """Speaks S3 to the built-in endpoint as the project, or to the operator's endpoint with the operator's key."""
    settings = resources.settings
    if settings.obs_endpoint:
        key, secret = settings.obs_access_key, settings.obs_secret_key
    else:
        async with resources.database.writing() as tx:
            account = await service_access_key(tx, resources.token_keys, project_id)
        key, secret = account.access, account.secret
    return ObjectStore(
        ObjectStoreSettings(
            endpoint=settings.url("obs"),
            region=settings.region,
            access_key=key,
            secret_key=secret,
            answers_ranges=bool(settings.obs_endpoint),
        )
    )
