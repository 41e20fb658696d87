"""OAuth of the Salesforce stand-in: JWT bearer and client credentials, sessions that end without a word."""

import base64
import hashlib
import hmac
import json
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sandbox import sf_schema as sf

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN_HOSTS = ("https://login.salesforce.com", "https://test.salesforce.com")
MAX_AHEAD_S = 300  # the working rule for `exp`; the platform's own maximum is not published


class OAuthError(Exception):
    def __init__(self, error, description, status=400):
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


def load_public_key(path):
    """A PEM file: a public key, or the certificate that the app would hold."""
    with open(path, "rb") as source:
        pem = source.read()
    if b"BEGIN CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    return serialization.load_pem_public_key(pem)


class Auth:
    def __init__(self, client_id, client_secret, username, public_key=None, audiences=(), token_life_s=7200):
        self.client_id, self.client_secret, self.username = client_id, client_secret, username
        self.public_key = public_key
        self.audiences = {one.rstrip("/") for one in (*LOGIN_HOSTS, *audiences)}
        self.token_life_s = token_life_s
        self.clear()

    def clear(self):
        self.sessions = {}  # token -> when it ends (monotonic seconds)
        self.issued = 0
        self.refused = 0

    def token(self, form, authorization, base_url):
        """Answers POST /services/oauth2/token; OAuthError if it is refused."""
        grant = form.get("grant_type")
        if grant == JWT_BEARER:
            self.check_assertion(form.get("assertion", ""), base_url)
            return self.grant(base_url, signed=False)
        if grant == "client_credentials":
            self.check_client(form, authorization)
            return self.grant(base_url, signed=True)
        raise OAuthError("unsupported_grant_type", "grant type not supported")

    def check_assertion(self, assertion, base_url):
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError:
            raise OAuthError("invalid_grant", "invalid assertion") from None
        if claims.get("iss") != self.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if header.get("alg") != "RS256" or self.public_key is None:
            raise OAuthError("invalid_grant", "invalid assertion")
        try:
            jwt.decode(assertion, self.public_key, algorithms=["RS256"],
                       options={"verify_aud": False, "verify_exp": False, "verify_iat": False})
        except jwt.PyJWTError:
            raise OAuthError("invalid_grant", "invalid assertion") from None
        self.check_claims(claims, base_url)

    def check_claims(self, claims, base_url):
        audience = str(claims.get("aud", "")).rstrip("/")
        known = self.audiences | {base_url}
        if audience not in known | {one.partition("://")[2] for one in known}:
            raise OAuthError("invalid_grant", "audience is invalid")
        try:
            ahead = float(claims["exp"]) - time.time()  # a number, or a number in a string
        except (KeyError, TypeError, ValueError):
            raise OAuthError("invalid_grant", "expired authorization code") from None
        if ahead <= 0 or ahead > MAX_AHEAD_S + 5:
            raise OAuthError("invalid_grant", "expired authorization code")
        if self.username and claims.get("sub") != self.username:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")

    def check_client(self, form, authorization):
        client, secret = form.get("client_id"), form.get("client_secret")
        if authorization.lower().startswith("basic "):
            try:
                client, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
            except ValueError:
                raise OAuthError("invalid_client", "invalid client credentials") from None
        if client != self.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if secret != self.client_secret:
            raise OAuthError("invalid_client", "invalid client credentials")

    def grant(self, base_url, signed):
        self.issued += 1
        opaque = hashlib.sha256(f"{time.time_ns()}/{self.issued}".encode()).digest()
        token = f"{sf.ORG_ID[:15]}!AQ{base64.urlsafe_b64encode(opaque).decode().rstrip('=')}.{self.issued}"
        self.sessions[token] = time.monotonic() + self.token_life_s
        identity = f"https://login.salesforce.com/id/{sf.ORG_ID}/{sf.USER_ID}"
        answer = {"access_token": token, "scope": "api", "instance_url": base_url, "id": identity,
                  "token_type": "Bearer"}
        if signed:
            issued_at = str(time.time_ns() // 1_000_000)
            mac = hmac.new(self.client_secret.encode(), (identity + issued_at).encode(), hashlib.sha256)
            answer.update({"signature": base64.b64encode(mac.digest()).decode(), "issued_at": issued_at})
        return answer

    def valid(self, authorization):
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.sessions.get(token.strip(), 0) > time.monotonic()

    def end(self, authorization=None):
        """Ends one session, or all."""
        if authorization is None:
            self.sessions.clear()
        else:
            self.sessions.pop(authorization.partition(" ")[2].strip(), None)


def error_body(error):
    return json.dumps({"error": error.error, "error_description": error.description})
