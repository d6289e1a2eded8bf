"""The ground floor of inflamap: everything the microscope PC needs, and every contract the others share."""

import os

from runtime.version import NOTICE, __version__

__all__ = ["NOTICE", "__version__"]

# Since 1.29 onnxruntime's own wheels report to their maker from Linux and macOS too, with an identifier kept in the
# user's cache, unless this is set before it is imported (its pull request 27379). Images of patients are near: nothing
# leaves this machine, whatever the environment says.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
