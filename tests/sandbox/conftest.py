"""One Salesforce stand-in a worker, and a client that has logged in to it."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.client import Process
from sandbox.sf_client import Org


@pytest.fixture(scope="session")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def crm(key, tmp_path_factory):
    pem = tmp_path_factory.mktemp("salesforce") / "public.pem"
    pem.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM,
                                                  serialization.PublicFormat.SubjectPublicKeyInfo))
    with Process("salesforce", "--client-id", "CID", "--client-secret", "SEC", "--username", "gw@example.com",
                 "--public-key", pem, "--processing-ms", 40, "--upload-limit", 100_000) as running:
        yield running


@pytest.fixture
def org(crm):
    crm.reset()
    return Org(crm)
