"""The stand-ins and gateways of the flow tests."""

from flow.conftest import (alert_receiver, byron, crm, make_gateway, nord, processes,  # noqa: F401
                           pytest_configure, suppliers)
