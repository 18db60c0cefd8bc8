"""What has been done to a server: the jobs that carried it out, for as long as they are kept."""

from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Service
from stillframe.servers import service as servers


async def list_actions(tx: Transaction, caller: Caller, server_id: str) -> list[Job]:
    """The newest first; also the making of images. Raises: ServerNotFoundError."""
    server = await servers.get_server(tx, caller, server_id)
    found = [
        job for service in (Service.ECS, Service.IMS) for job in await jobs.list_jobs_of_subject(tx, server.id, service)
    ]
    return sorted(found, key=lambda job: (job.created_at, job.id), reverse=True)
