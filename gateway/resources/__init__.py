"""What the operator wrote: kinds, strict loading, selectors; and build.py, which turns them into match/ tables."""

from .errors import ResourceError, ResourceErrors
from .load import load
from .resources import Resources
from .update import check_update

__all__ = ["ResourceError", "ResourceErrors", "Resources", "check_update", "load"]
