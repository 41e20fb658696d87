"""OAuth of the Salesforce stand-in: JWT bearer, client credentials and refresh tokens; sessions that end without a
word."""

import base64
import collections
import hashlib
import hmac
import json
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sandbox import sf_schema as sf
from sandbox.sf_clock import Clock

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN_HOSTS = ("https://login.salesforce.com", "https://test.salesforce.com")
MAX_APPROVALS = 5  # refresh tokens of one user and app; one more revokes the oldest
MAX_AHEAD_S = 300  # the working rule for `exp`; the platform's own maximum is not published

# How an org can be set up wrong (or its user locked out), and what the token endpoint says of it: grant or
# None for both, error, description. All but `busy` last until a person mends them.
WRONGS = {
    "not_approved": (JWT_BEARER, "invalid_grant", "user hasn't approved this consumer"),
    "not_admin_approved": (None, "invalid_app_access", "user is not admin approved to access this app"),
    "no_run_as": ("client_credentials", "invalid_grant", "no client credentials user enabled"),
    "login_host": ("client_credentials", "invalid_grant", "request not supported on this domain"),
    "flow_off": (None, "unsupported_grant_type", "grant type not supported"),
    "certificate": (JWT_BEARER, "invalid_grant", "invalid assertion"),
    "audience": (JWT_BEARER, "invalid_grant", "audience is invalid"),
    "audience_old": (JWT_BEARER, "invalid_grant", "Audience validation failed"),
    "expired": (JWT_BEARER, "invalid_grant", "expired authorization code"),
    "ip": (None, "invalid_grant", "ip restricted"),
    "client_id": (None, "invalid_client_id", "client identifier invalid"),
    "secret": ("client_credentials", "invalid_client", "invalid client credentials"),
    "inactive_user": (None, "inactive_user", "user is inactive"),
    "inactive_org": (None, "inactive_org", "organization is locked, closed or suspended"),
    "busy": (None, "rate_limit_exceeded", "number of logins exceeded"),
    "bare": (None, "invalid_grant", None),  # the description may be missing
}


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
    """Tokens and sessions. A session ends when it was not used for `token_life_s`, or is ended."""

    def __init__(self, client_id, client_secret, username, public_key=None, audiences=(), token_life_s=7200):
        self.client_id, self.client_secret, self.username = client_id, client_secret, username
        self.public_key = public_key
        self.audiences = {one.rstrip("/") for one in (*LOGIN_HOSTS, *audiences)}
        self.start_life_s = token_life_s
        self.clock = Clock()  # the org's, once it belongs to one
        self.clear()

    def clear(self):
        self.sessions = {}  # token -> when it ends, by the clock
        self.approvals = []  # refresh tokens, the oldest first
        self.approved = 0
        self.issued = 0
        self.refused = 0
        self.by_grant = collections.Counter()
        self.refusals = collections.Counter()  # by description
        self.revoked = 0
        self.token_life_s = self.start_life_s
        self.wrong = None  # one of WRONGS
        self.reuse = False  # asked again, give the token that is still good

    def change(self, wanted):
        """The control call `oauth`; ValueError for what there is not."""
        if set(wanted) - {"wrong", "reuse", "token_life_s", "approve"}:
            raise ValueError("oauth has wrong, reuse, token_life_s and approve")
        if wanted.get("wrong") not in (None, *WRONGS):
            raise ValueError(f"unknown wrong {wanted['wrong']!r}; known: {', '.join(WRONGS)}")
        wanted = dict(wanted)
        for _ in range(wanted.pop("approve", 0)):
            self.approve()
        self.__dict__.update(wanted)

    def approve(self):
        """The user has logged in with a browser and allowed the app offline access."""
        self.approved += 1
        self.approvals = [*self.approvals, f"5Aep861.{self.approved:04d}"][-MAX_APPROVALS:]

    def token(self, form, authorization, base_url):
        """Answers POST /services/oauth2/token; OAuthError if it is refused."""
        grant = form.get("grant_type")
        try:
            return self.check_and_grant(grant, form, authorization, base_url)
        except OAuthError as refused:
            self.refused += 1
            self.refusals[refused.description or refused.error] += 1
            raise

    def check_and_grant(self, grant, form, authorization, base_url):
        if self.wrong and WRONGS[self.wrong][0] in (None, grant):
            raise OAuthError(*WRONGS[self.wrong][1:])
        if grant == JWT_BEARER:
            self.check_assertion(form.get("assertion", ""), base_url)
            return self.grant("jwt", base_url)
        if grant == "client_credentials":
            self.check_client(form, authorization)
            return self.grant(grant, base_url)
        if grant == "refresh_token":
            self.check_refresh(form)
            return self.grant(grant, base_url)
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

    def check_refresh(self, form):
        """The secret is needed only where the app demands it; given, it must be right."""
        if form.get("client_id") != self.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if form.get("client_secret") not in (None, self.client_secret):
            raise OAuthError("invalid_client", "invalid client credentials")
        if form.get("refresh_token") not in self.approvals:
            raise OAuthError("invalid_grant", "expired access/refresh token")

    def grant(self, grant, base_url):
        self.by_grant[grant] += 1
        self.issued += 1
        opaque = hashlib.sha256(f"{time.time_ns()}/{self.issued}".encode()).digest()
        token = f"{sf.ORG_ID[:15]}!AQ{base64.urlsafe_b64encode(opaque).decode().rstrip('=')}.{self.issued}"
        if self.reuse:
            token = next((one for one, end in self.sessions.items() if end > self.clock.now()), token)
        self.sessions[token] = self.clock.now() + self.token_life_s
        identity = f"https://login.salesforce.com/id/{sf.ORG_ID}/{sf.USER_ID}"
        answer = {"access_token": token, "scope": "api", "instance_url": base_url, "id": identity,
                  "token_type": "Bearer"}
        if grant != "jwt":
            issued_at = str(time.time_ns() // 1_000_000)
            mac = hmac.new(self.client_secret.encode(), (identity + issued_at).encode(), hashlib.sha256)
            answer.update({"signature": base64.b64encode(mac.digest()).decode(), "issued_at": issued_at})
        return answer

    def valid(self, authorization):
        """Is there such a session? Its use starts its time again."""
        scheme, _, token = authorization.partition(" ")
        token, now = token.strip(), self.clock.now()
        if scheme.lower() != "bearer" or self.sessions.get(token, 0) <= now:
            return False
        self.sessions[token] = now + self.token_life_s
        return True

    def end(self, token=None):
        """Ends one session, or all. False if there was none."""
        if token is None:
            ended = bool(self.sessions)
            self.sessions.clear()
            return ended
        return self.sessions.pop(token, None) is not None

    def revoke(self, token):
        """POST /services/oauth2/revoke"""
        if not self.end(token):
            raise OAuthError("invalid_token", "invalid token: " + token[:15])
        self.revoked += 1

    def books(self):
        now = self.clock.now()
        return {"alive": sum(end > now for end in self.sessions.values()), "by_grant": dict(self.by_grant),
                "refusals": dict(self.refusals), "revoked": self.revoked, "approvals": list(self.approvals)}


def bearer(authorization):
    return authorization.partition(" ")[2].strip()


def error_body(error):
    described = {} if error.description is None else {"error_description": error.description}
    return json.dumps({"error": error.error, **described})
