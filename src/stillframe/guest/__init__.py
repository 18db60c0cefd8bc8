"""The public image: a small Linux that boots in seconds, made on this machine from Debian's own packages."""

from stillframe.guest.builder import public_image
from stillframe.guest.facts import PUBLIC_IMAGE, PublicImage, default_cache_dir

__all__ = ["PUBLIC_IMAGE", "PublicImage", "default_cache_dir", "public_image"]
