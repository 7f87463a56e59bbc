"""The worker's way to AWS: the clients and errors of `steps.governance.aws`."""

from steps.governance.aws import client as client
from steps.governance.aws import error_code as error_code
from steps.governance.aws import translated as translated
