"""Access to a shop of the Shopify stand-in: tokens, how they are asked for, how they end.

A static token never ends. A client-credentials token lives 24 hours and has no refresh token. An expiring offline token
lives one hour; each refresh gives a new pair, and the refresh token before it stays good until the new one is used, for
30 days at most.
"""

import json
import secrets
import time
import urllib.parse

from sandbox.common import as_json

CREDENTIALS_S, OFFLINE_S, REFRESH_S, GRACE_S = 86399, 3600, 90 * 86400, 30 * 86400
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
INVALID = "[API] Invalid API key or access token (unrecognized login or wrong password)"
SCOPES = ("read_orders,write_orders,read_all_orders,read_merchant_managed_fulfillment_orders,"
          "write_merchant_managed_fulfillment_orders,read_assigned_fulfillment_orders,"
          "write_assigned_fulfillment_orders,read_third_party_fulfillment_orders,"
          "write_third_party_fulfillment_orders,read_fulfillments,write_fulfillments,read_inventory,write_inventory,"
          "read_locations,read_products,write_products,read_customers,write_customers,read_companies,write_companies,"
          "read_draft_orders,write_draft_orders,read_returns,write_returns,read_payment_terms,write_payment_terms")


class GrantRefused(Exception):
    """An OAuth error: {"error", "error_description"}."""

    def __init__(self, error, description):
        super().__init__(description)
        self.error, self.description = error, description


class Access:
    """Who may ask. `clock` is a function giving seconds, so that a day can pass in a test."""

    def __init__(self, client_id, client_secret, static_token, scopes=SCOPES, clock=time.time):
        self.client_id, self.client_secret, self.static_token = client_id, client_secret, static_token
        self.clock, self.first_scopes = clock, scopes
        self.reset()

    def reset(self):
        self.scopes = self.first_scopes
        self.life_s = {"client_credentials": CREDENTIALS_S, "offline": OFFLINE_S}
        self.tokens = {}  # token: {"until" or None, "grant"}
        self.refreshers = {}  # refresh token: {"until", "used_at", "replaced" (by which), "retired"}
        if self.static_token:
            self.tokens[self.static_token] = {"until": None, "grant": "static"}
        self.wrong = None  # an OAuth error that every request gets: the app is not installed, ...
        self.installed = True
        self.issued, self.refused = {}, {}

    # ---- asking with a token ----

    def check(self, request):
        """None, or why the request is refused: the `errors` of a 401, a string."""
        token = request.headers.get("X-Shopify-Access-Token")
        known = self.tokens.get(token)
        if not self.installed or known is None or known["until"] is not None and self.clock() >= known["until"]:
            self.refused["401"] = self.refused.get("401", 0) + 1
            return INVALID
        return None

    def granted(self):
        """Handles of the scopes; a write scope reads too."""
        said = {one.strip() for one in self.scopes.split(",") if one.strip()}
        return said | {"read_" + one[len("write_"):] for one in said if one.startswith("write_")}

    def expire(self, token=None):
        """Ends every token that can end, or the one named; how many."""
        ended = [one for one, known in self.tokens.items()
                 if (known["grant"] != "static" if token is None else one == token)]
        for one in ended:
            self.tokens[one]["until"] = self.clock()
        return len(ended)

    def uninstall(self):
        """The merchant removes the app: every token is dead at once."""
        self.installed = False
        self.tokens.clear()
        self.refreshers.clear()

    def install(self):
        self.installed = True
        if self.static_token:
            self.tokens[self.static_token] = {"until": None, "grant": "static"}

    # ---- the token endpoint ----

    def issue(self, grant):
        token = "shpat_" + secrets.token_hex(16)
        life = self.life_s["client_credentials" if grant == "client_credentials" else "offline"]
        self.tokens[token] = {"until": self.clock() + life, "grant": grant}
        self.issued[grant] = self.issued.get(grant, 0) + 1
        return {"access_token": token, "scope": self.scopes, "expires_in": life}

    def pair(self, grant):
        """An expiring offline token with its refresh token, as a code or an exchange gives it."""
        fresh = "shprt_" + secrets.token_hex(16)
        self.refreshers[fresh] = {"until": self.clock() + REFRESH_S, "used_at": None, "before": None, "retired": False}
        return {**self.issue(grant), "refresh_token": fresh, "refresh_token_expires_in": REFRESH_S}

    def refresh(self, token):
        known = self.refreshers.get(token)
        now = self.clock()
        if known is None or known["retired"] or now >= known["until"] or \
                known["used_at"] is not None and now >= known["used_at"] + GRACE_S:
            raise GrantRefused("invalid_grant", "The refresh token is invalid, expired or has been used.")
        if known["before"]:  # its predecessor is over, now that this one is used
            self.refreshers[known["before"]]["retired"] = True
        if known["used_at"] is None:
            known["used_at"] = now
        made = self.pair("refresh_token")
        self.refreshers[made["refresh_token"]]["before"] = token
        return made

    def exchange(self, asked):
        """A token that does not expire is moved to a pair that does; the old one is dead."""
        old = asked.get("subject_token")
        if asked.get("expiring") not in ("1", 1, True) or self.tokens.get(old, {}).get("grant") != "static":
            raise GrantRefused("invalid_subject_token", "The subject token is not a non-expiring offline token.")
        del self.tokens[old]
        return self.pair("token_exchange")

    def grant(self, asked):
        if self.wrong:
            raise GrantRefused(*self.wrong)
        if not self.installed:
            raise GrantRefused("app_not_installed", "The app is not installed on the shop.")
        if asked.get("client_id") != self.client_id:
            raise GrantRefused("application_cannot_be_found", "Could not find the application with this API key.")
        if asked.get("client_secret") != self.client_secret:
            raise GrantRefused("invalid_client", "Client authentication failed.")
        kind = asked.get("grant_type")
        if kind == "client_credentials":
            return self.issue(kind)
        if kind == "refresh_token":
            return self.refresh(asked.get("refresh_token"))
        if kind == EXCHANGE:
            return self.exchange(asked)
        raise GrantRefused("unsupported_grant_type", f"The grant type {kind!r} is not supported.")

    async def on_request(self, request):
        """POST /admin/oauth/access_token, form-encoded or JSON."""
        text = (await request.read()).decode("utf-8", "replace")
        if request.content_type == "application/x-www-form-urlencoded":
            asked = dict(urllib.parse.parse_qsl(text))
        else:
            try:
                asked = json.loads(text)
            except ValueError:
                asked = None
        if not isinstance(asked, dict):
            return as_json({"error": "invalid_request", "error_description": "The body cannot be read."}, 400)
        try:
            return as_json(self.grant(asked))
        except GrantRefused as wrong:
            self.refused[wrong.error] = self.refused.get(wrong.error, 0) + 1
            return as_json({"error": wrong.error, "error_description": wrong.description}, 400)

    # ---- control ----

    def steer(self, asked):
        """{"expire": true or a token, "wrong": [error, description], "life_s": {...}, "scopes", "uninstall", "install",
        "offline": N pairs as an installation gives them}"""
        out = {}
        if "life_s" in asked:
            self.life_s.update(asked["life_s"])
        if "scopes" in asked:
            self.scopes = asked["scopes"]
        if "wrong" in asked:
            self.wrong = asked["wrong"]
        if asked.get("expire"):
            out["expired"] = self.expire(None if asked["expire"] is True else asked["expire"])
        if asked.get("offline"):
            out["pairs"] = [self.pair("installation") for _ in range(asked["offline"])]
        return {**out, **self.books()}

    def books(self):
        alive = [one for one in self.tokens.values() if one["until"] is None or one["until"] > self.clock()]
        return {"alive": len(alive), "issued": dict(self.issued), "refused": dict(self.refused),
                "installed": self.installed}
