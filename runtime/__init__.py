"""The ground floor of inflamap: everything the microscope PC needs, and every contract the others share."""

from runtime.version import NOTICE, __version__

__all__ = ["NOTICE", "__version__"]
